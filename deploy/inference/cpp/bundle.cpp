#include "bundle.hpp"

#include <algorithm>
#include <fstream>
#include <map>

#include "errors.hpp"
#include "json.hpp"
#include "sha256.hpp"

namespace fs = std::filesystem;

namespace ppresnet {
namespace {

constexpr const char *kManifest = "manifest.json", *kDeploy = "deploy.json", *kLabels = "labels.txt",
                     *kGolden = "golden.npz";
constexpr std::int64_t kLargest = std::int64_t{1} << 53;  // a JSON number is exact up to here
constexpr int kWidest = 1 << 15;

struct Entry {
  std::uintmax_t size;
  std::string sha256;
  bool operator==(const Entry& other) const { return size == other.size && sha256 == other.sha256; }
};

using Entries = std::map<std::string, Entry>;

[[noreturn]] void refuse(const fs::path& bundle, const std::string& problem) {
  throw RequestError(bundle.string() + " is incomplete or altered: " + problem + "; use another copy or export it again");
}

Entries parse_entries(const Json& listed) {
  Entries entries;
  for (const auto& [name, entry] : listed.object()) {
    if (entry.object().size() != 2) throw RequestError("expected size and sha256 of " + name);
    entries[name] = {static_cast<std::uintmax_t>(entry.at("size").integer(0, kLargest)), entry.at("sha256").string()};
  }
  return entries;
}

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

// A manifest carries the sha256 of its own list, and is valid only byte for byte as it was written.
Entries read_manifest(const fs::path& bundle) {
  const std::string text = read_file(bundle / kManifest);
  const Json json = Json::parse(text);
  const Entries entries = parse_entries(json.at("files"));
  const std::string own = sha256(encode(entries, kCompact));
  const std::string whole = "{\n \"files\": " + encode(entries, kIndented) + ",\n \"sha256\": \"" + own + "\"\n}\n";
  if (text != whole) refuse(bundle, std::string(kManifest) + " does not match its own sha256");
  return entries;
}

std::string digest(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Sha256 hash;
  std::vector<char> chunk(1 << 20);
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || file.gcount() > 0) {
    hash.update({chunk.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (!file.eof()) throw RequestError(path.string() + " cannot be read; check the path and the permissions");
  return hash.hex();
}

void check_listing(const fs::path& bundle, const Entries& entries) {
  for (const auto& found : fs::recursive_directory_iterator(bundle)) {
    const std::string name = found.path().lexically_relative(bundle).generic_string();
    if (found.is_symlink() || !(found.is_regular_file() || found.is_directory())) {
      refuse(bundle, name + " is a link or a device, expected a regular file");
    }
    if (found.is_regular_file() && name != kManifest && !entries.count(name)) {
      refuse(bundle, name + " is not listed in " + kManifest);
    }
  }
  for (const char* name : {kDeploy, kLabels, kGolden, "inference.pdmodel", "inference.pdiparams"}) {
    if (!entries.count(name)) refuse(bundle, std::string(name) + " is missing");
  }
}

// Returns the small files; they are hashed and used from the same bytes.
std::map<std::string, std::string> check_contents(const fs::path& bundle, const Entries& entries) {
  std::map<std::string, std::string> contents;
  for (const auto& [name, entry] : entries) {
    const fs::path path = bundle / name;
    if (!fs::is_regular_file(path)) refuse(bundle, name + " is missing");
    if (const auto size = fs::file_size(path); size != entry.size) {
      refuse(bundle, name + " has " + std::to_string(size) + " bytes, expected " + std::to_string(entry.size));
    }
    std::string found;
    if (name == kDeploy || name == kLabels || name == kGolden) {
      contents[name] = read_file(path);
      found = sha256(contents[name]);
    } else {
      found = digest(path);
    }
    if (found != entry.sha256) refuse(bundle, name + " does not match its sha256");
  }
  return contents;
}

Preprocess parse_preprocess(const Json& json) {
  Preprocess how;
  how.input_size = static_cast<int>(json.at("input_size").integer(1, kWidest));
  how.in_channels = static_cast<int>(json.at("in_channels").integer(1, 3));
  for (const Json& value : json.at("mean").array()) how.mean.push_back(value.number());
  for (const Json& value : json.at("std").array()) how.std.push_back(value.number());
  if (!json.at("resize").is_null()) how.resize = static_cast<int>(json.at("resize").integer(how.input_size, kWidest));
  const std::size_t channels = how.in_channels;
  if (channels == 2 || how.mean.size() != channels || how.std.size() != channels) {
    throw RequestError("preprocess does not agree with itself");
  }
  return how;
}

std::vector<std::string> parse_labels(const std::string& text) {
  std::vector<std::string> labels;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    labels.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return labels;
}

void check_agreement(const Bundle& bundle, const Json& deploy) {
  const Json& shape = deploy.at("outputs").at(0).at("shape");
  const auto count = static_cast<int>(shape.at(shape.array().size() - 1).integer(1, 1 << 30));
  if (bundle.labels.size() != static_cast<std::size_t>(count)) {
    refuse(bundle.path, std::to_string(bundle.labels.size()) + " labels for " + std::to_string(count) + " classes");
  }
  const int size = bundle.preprocess.input_size;
  const std::vector<int>& in = bundle.golden.inputs.shape;
  if (in.empty() || in != std::vector<int>{in[0], bundle.preprocess.in_channels, size, size} ||
      bundle.golden.outputs.shape != std::vector<int>{in[0], count}) {
    refuse(bundle.path, "the golden tensors have other shapes than the network");
  }
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::ifstream file;
  if (fs::is_regular_file(path)) file.open(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) throw RequestError(path.string() + " cannot be read; check the path and the permissions");
  return bytes;
}

Bundle read_bundle(const fs::path& path) {
  if (!fs::is_directory(path)) throw RequestError("no bundle at " + path.string() + ": expected an exported folder");
  try {
    const Entries entries = read_manifest(path);
    check_listing(path, entries);
    const auto contents = check_contents(path, entries);
    const Json deploy = Json::parse(contents.at(kDeploy));
    if (deploy.at("schema_version").number() != 1) throw RequestError("schema_version is not 1");
    Entries others = entries;
    others.erase(kDeploy);
    if (parse_entries(deploy.at("files")) != others) throw RequestError("deploy.json and manifest.json disagree");
    Bundle bundle{path, {}, parse_preprocess(deploy.at("preprocess")), parse_labels(contents.at(kLabels)),
                  read_golden(contents.at(kGolden))};
    for (const auto& [name, entry] : entries) bundle.files.insert(name);
    check_agreement(bundle, deploy);
    return bundle;
  } catch (const RequestError& error) {
    if (std::string(error.what()).rfind(path.string(), 0) == 0) throw;
    refuse(path, error.what());
  } catch (const fs::filesystem_error& error) {
    refuse(path, error.what());
  }
}

}  // namespace ppresnet
