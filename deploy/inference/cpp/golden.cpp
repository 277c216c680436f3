#include "golden.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>

#include "errors.hpp"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "npy and zip are little-endian, and so must the target be"
#endif

namespace ppresnet {
namespace {

// Sizes from the zip specification (APPNOTE 4.3), without the variable parts.
constexpr std::size_t kLocal = 30, kCentral = 46, kEnd = 22;
constexpr std::string_view kMagic = "\x93NUMPY";

[[noreturn]] void broken(const std::string& what) {
  throw RequestError("golden.npz: " + what + "; expected stored float32 arrays 'inputs' and 'outputs' in C order");
}

std::string_view slice(std::string_view bytes, std::size_t offset, std::size_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) broken("it ends early");
  return bytes.substr(offset, size);
}

template <typename T>
T number(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, slice(bytes, offset, sizeof value).data(), sizeof value);
  return value;
}

constexpr auto u16 = number<std::uint16_t>;
constexpr auto u32 = number<std::uint32_t>;

// Walks the central directory: the local headers of numpy's writer do not hold the sizes.
std::map<std::string, std::string_view> members(std::string_view zip) {
  const std::size_t end = zip.rfind(std::string_view("PK\x05\x06", 4));
  if (end == std::string_view::npos) broken("it is not a zip");
  slice(zip, end, kEnd);
  std::size_t at = u32(zip, end + 16);
  std::map<std::string, std::string_view> found;
  for (int left = u16(zip, end + 10); left > 0; --left) {
    if (slice(zip, at, kCentral).substr(0, 4) != "PK\x01\x02") broken("its directory is damaged");
    const std::string name(slice(zip, at + kCentral, u16(zip, at + 28)));
    const std::uint32_t size = u32(zip, at + 24), local = u32(zip, at + 42);
    if (u16(zip, at + 10) != 0 || u32(zip, at + 20) != size) broken(name + " is compressed");
    if (slice(zip, local, kLocal).substr(0, 4) != "PK\x03\x04") broken("its directory is damaged");
    found[name] = slice(zip, local + kLocal + u16(zip, local + 26) + u16(zip, local + 28), size);
    at += kCentral + u16(zip, at + 28) + u16(zip, at + 30) + u16(zip, at + 32);
  }
  return found;
}

// Reads "(2, 3, 8, 8)" after the key 'shape' of an npy header.
std::vector<int> shape_of(std::string_view header) {
  static constexpr std::string_view kKey = "'shape': (";
  const std::size_t start = header.find(kKey);
  if (start == std::string_view::npos) broken("an array has no shape");
  std::vector<int> shape;
  const char* at = header.data() + start + kKey.size();
  const char* const end = header.data() + header.size();
  while (at != end && *at != ')') {
    int extent = 0;
    const auto parsed = std::from_chars(at, end, extent);
    if (parsed.ec != std::errc() || extent < 1) broken("an array has a wrong shape");
    shape.push_back(extent);
    at = std::find_if(parsed.ptr, end, [](char c) { return c != ',' && c != ' '; });
  }
  return shape;
}

Tensor parse_npy(std::string_view npy) {
  if (slice(npy, 0, 10).substr(0, 6) != kMagic) broken("a member is not an npy");
  const bool long_header = npy[6] != 1;
  const std::size_t start = long_header ? 12 : 10;
  const std::string_view header = slice(npy, start, long_header ? u32(npy, 8) : u16(npy, 8));
  for (const char* part : {"'descr': '<f4'", "'fortran_order': False"}) {
    if (header.find(part) == std::string_view::npos) broken(std::string("an array lacks ") + part);
  }
  Tensor tensor{shape_of(header), {}};
  const std::string_view data = npy.substr(start + header.size());
  std::size_t count = 1;
  for (const int extent : tensor.shape) {
    if (count > data.size() / extent) broken("an array is cut short");
    count *= extent;
  }
  if (count * sizeof(float) != data.size()) broken("an array has not the size of its shape");
  tensor.values.resize(count);
  std::memcpy(tensor.values.data(), data.data(), data.size());
  return tensor;
}

}  // namespace

Golden read_golden(std::string_view npz) {
  const auto found = members(npz);
  if (found.size() != 2 || !found.count("inputs.npy") || !found.count("outputs.npy")) broken("other members");
  return {parse_npy(found.at("inputs.npy")), parse_npy(found.at("outputs.npy"))};
}

double relative_difference(const Tensor& found, const Tensor& reference) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (found.shape != reference.shape) return kInfinity;
  double difference = 0.0, largest = 0.0, largest_found = 0.0;
  for (std::size_t i = 0; i < reference.values.size(); ++i) {
    const double a = found.values[i], b = reference.values[i];
    if (!std::isfinite(a) || !std::isfinite(b)) return kInfinity;
    difference = std::max(difference, std::abs(a - b));
    largest = std::max(largest, std::abs(b));
    largest_found = std::max(largest_found, std::abs(a));
  }
  return largest == 0.0 || largest_found == 0.0 ? kInfinity : difference / largest;
}

}  // namespace ppresnet
