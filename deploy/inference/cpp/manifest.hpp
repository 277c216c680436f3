// A folder with a manifest.json: the size and sha256 of every file in it, and a sha256 of that list itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "json.hpp"

namespace ppresnet {

constexpr const char* kManifest = "manifest.json";

struct Entry {
  std::uintmax_t size;
  std::string sha256;
  bool operator==(const Entry& other) const { return size == other.size && sha256 == other.sha256; }
};

using Entries = std::map<std::string, Entry>;

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::string& problem);

// From an object of name -> {size, sha256}.
Entries parse_entries(const Json& listed);

// A manifest is valid only byte for byte as it was written.
Entries read_manifest(const std::filesystem::path& folder);

// Throws when a file is there that is not listed, or one of `required` is not listed.
void check_listing(const std::filesystem::path& folder, const Entries& entries, const std::set<std::string>& required);

// Checks every listed file and returns those named in `wanted`, hashed and returned from the same bytes.
std::map<std::string, std::string> check_contents(const std::filesystem::path& folder, const Entries& entries,
                                                  const std::set<std::string>& wanted);

}  // namespace ppresnet
