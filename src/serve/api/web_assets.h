// The files of the chat page. With HADAL_WEB=ON web/CMakeLists.txt builds them and puts their bytes in the
// program; without, web/no_page.cpp has one page that says how to.
#pragma once

#include <span>
#include <string_view>

namespace hadal::serve::api {

struct WebAsset {
  std::string_view path;  // "/", "/assets/index-1a2b3c4d.js"
  std::string_view content_type;
  std::string_view bytes;
  bool immutable;  // its name changes with its content: clients may keep it for good
};

std::span<const WebAsset> web_assets();

}  // namespace hadal::serve::api
