#include "files.hpp"

#include <fstream>
#include <iterator>
#include <vector>

#include "errors.hpp"
#include "sha256.hpp"

namespace fs = std::filesystem;

namespace ppresnet {

std::string read_file(const fs::path& path) {
  std::ifstream file;
  if (fs::is_regular_file(path)) file.open(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) throw RequestError(path.string() + " cannot be read; check the path and the permissions");
  return bytes;
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

}  // namespace ppresnet
