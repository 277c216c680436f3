// The command line of a sample: a folder, then images, and options that take a value each.
#pragma once

#include <string>
#include <vector>

#include "errors.hpp"

namespace ppresnet {

struct Paths {
  std::string folder;
  std::vector<std::string> images;
};

// `take(option, value)` returns false for an option it does not know. Throws RequestError for that, and without a folder.
template <typename Take>
Paths read_command_line(const std::vector<std::string>& arguments, const char* usage, Take take) {
  std::vector<std::string> paths;
  for (auto at = arguments.begin(); at != arguments.end(); ++at) {
    const std::string& option = *at;
    if (option.rfind("--", 0) != 0) {
      paths.push_back(option);
      continue;
    }
    if (++at == arguments.end()) throw RequestError(usage);
    if (!take(option, *at)) throw RequestError("unknown option " + option + "\n" + usage);
  }
  if (paths.empty()) throw RequestError(usage);
  return {paths.front(), {paths.begin() + 1, paths.end()}};
}

}  // namespace ppresnet
