// What the program serves at / when it was built with HADAL_WEB=OFF.
#include "serve/api/web_assets.h"

namespace hadal::serve::api {

std::span<const WebAsset> web_assets() {
  static constexpr WebAsset kAssets[] = {
      {"/", "text/plain; charset=utf-8",
       "This Hadal was built without its chat page. The API is here: POST /v1/chat/completions.\n"
       "For the page, build again with: cmake -S . -B build/release -DHADAL_WEB=ON\n",
       false}};
  return kAssets;
}

}  // namespace hadal::serve::api
