# npm ci, unless what the lockfile asks for is there already. Variables: NPM, WORK.
file(SHA256 ${WORK}/package-lock.json wanted)
if(EXISTS ${WORK}/installed)
  file(READ ${WORK}/installed installed)
endif()
if(NOT installed STREQUAL wanted)
  execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund WORKING_DIRECTORY ${WORK}
    COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${WORK}/installed ${wanted})
endif()
