#include "manifest.hpp"

#include "errors.hpp"
#include "files.hpp"
#include "sha256.hpp"

namespace fs = std::filesystem;

namespace ppresnet {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 53;  // a JSON number is exact up to here

// The white space that Python's json.dumps puts between the parts of an object of objects.
struct Layout {
  std::string open, between, inner_open, inner_between, inner_close, close;
};
const Layout kCompact{"", " ", "", " ", "", ""}, kIndented{"\n  ", "\n  ", "\n   ", "\n   ", "\n  ", "\n "};

// The entries as json.dumps writes them; names in bundles are plain ASCII and need no escapes.
std::string encode(const Entries& entries, const Layout& space) {
  std::string text = "{" + space.open;
  for (auto at = entries.begin(); at != entries.end(); ++at) {
    if (at != entries.begin()) text += "," + space.between;
    text += '"' + at->first + "\": {" + space.inner_open + "\"sha256\": \"" + at->second.sha256 + "\"," +
            space.inner_between + "\"size\": " + std::to_string(at->second.size) + space.inner_close + '}';
  }
  return text + space.close + '}';
}

}  // namespace

void refuse(const fs::path& folder, const std::string& problem) {
  throw RequestError(folder.string() + " is incomplete or altered: " + problem + "; use another copy or export it again");
}

Entries parse_entries(const Json& listed) {
  Entries entries;
  for (const auto& [name, entry] : listed.object()) {
    if (entry.object().size() != 2) throw RequestError("expected size and sha256 of " + name);
    entries[name] = {static_cast<std::uintmax_t>(entry.at("size").integer(0, kLargest)), entry.at("sha256").string()};
  }
  return entries;
}

Entries read_manifest(const fs::path& folder) {
  const std::string text = read_file(folder / kManifest);
  const Json json = Json::parse(text);
  const Entries entries = parse_entries(json.at("files"));
  const std::string own = sha256(encode(entries, kCompact));
  const std::string whole = "{\n \"files\": " + encode(entries, kIndented) + ",\n \"sha256\": \"" + own + "\"\n}\n";
  if (text != whole) refuse(folder, std::string(kManifest) + " does not match its own sha256");
  return entries;
}

void check_listing(const fs::path& folder, const Entries& entries, const std::set<std::string>& required) {
  for (const auto& found : fs::recursive_directory_iterator(folder)) {
    const std::string name = found.path().lexically_relative(folder).generic_string();
    if (found.is_symlink() || !(found.is_regular_file() || found.is_directory())) {
      refuse(folder, name + " is a link or a device, expected a regular file");
    }
    if (found.is_regular_file() && name != kManifest && !entries.count(name)) {
      refuse(folder, name + " is not listed in " + kManifest);
    }
  }
  for (const std::string& name : required) {
    if (!entries.count(name)) refuse(folder, name + " is missing");
  }
}

std::map<std::string, std::string> check_contents(const fs::path& folder, const Entries& entries,
                                                  const std::set<std::string>& wanted) {
  std::map<std::string, std::string> contents;
  for (const auto& [name, entry] : entries) {
    const fs::path path = folder / name;
    if (!fs::is_regular_file(path)) refuse(folder, name + " is missing");
    if (const auto size = fs::file_size(path); size != entry.size) {
      refuse(folder, name + " has " + std::to_string(size) + " bytes, expected " + std::to_string(entry.size));
    }
    std::string found;
    if (wanted.count(name)) {
      contents[name] = read_file(path);
      found = sha256(contents[name]);
    } else {
      found = digest(path);
    }
    if (found != entry.sha256) refuse(folder, name + " does not match its sha256");
  }
  return contents;
}

}  // namespace ppresnet
