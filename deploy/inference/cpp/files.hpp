// Whole files as bytes.
#pragma once

#include <filesystem>
#include <string>

namespace ppresnet {

// The bytes of a file; throws RequestError when it cannot be read.
std::string read_file(const std::filesystem::path& path);

// The sha256 of a file, read piece by piece; throws RequestError when it cannot be read.
std::string digest(const std::filesystem::path& path);

}  // namespace ppresnet
