# npm ci in ${work}, when the lock file has changed. Without what the agent's pictures and clipboard need.
file(SHA256 ${source}/package-lock.json wanted)
set(have "")
if(EXISTS ${work}/installed.sha256)
  file(READ ${work}/installed.sha256 have)
endif()
if(NOT have STREQUAL wanted)
  file(COPY ${source}/package.json ${source}/package-lock.json DESTINATION ${work})
  execute_process(COMMAND ${npm} ci --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
    WORKING_DIRECTORY ${work} COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${work}/installed.sha256 ${wanted})
endif()
