#pragma once

#include <string>
#include <string_view>

namespace modelfs {

/// Without the blanks, tabs and line ends around it.
std::string_view Trim(std::string_view text);

/// With ASCII letters in lower case.
std::string Lower(std::string_view text);

}  // namespace modelfs
