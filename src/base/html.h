// Text in HTML pages that the program writes.
#pragma once

#include <string>
#include <string_view>

namespace hadal::base {

// & < > and " as entities: safe as content and inside a quoted attribute.
std::string escape_html(std::string_view text);

}  // namespace hadal::base
