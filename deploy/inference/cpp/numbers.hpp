// Numbers on a command line.
#pragma once

#include <charconv>
#include <string>

#include "errors.hpp"

namespace ppresnet {

template <typename Number>
Number positive(const std::string& option, const std::string& text) {
  Number value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || !(value > 0)) {
    throw RequestError(option + " is '" + text + "'; expected a number above zero");
  }
  return value;
}

}  // namespace ppresnet
