#include "image_ppm.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "errors.hpp"

namespace ppresnet {
namespace {

bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Takes the next number of the header; blanks and comments may stand before it.
int take_number(std::string_view& bytes) {
  while (!bytes.empty() && (blank(bytes[0]) || bytes[0] == '#')) {
    bytes.remove_prefix(bytes[0] == '#' ? std::min(bytes.find('\n'), bytes.size()) : 1);
  }
  int value = 0;
  const auto parsed = std::from_chars(bytes.data(), bytes.data() + bytes.size(), value);
  if (parsed.ec != std::errc() || value < 1) throw RequestError("the PPM header is damaged");
  bytes.remove_prefix(parsed.ptr - bytes.data());
  return value;
}

}  // namespace

Image decode_ppm(std::string_view bytes) {
  const std::string_view magic = bytes.substr(0, 2);
  if (magic != "P5" && magic != "P6") throw RequestError("not a raw PPM or PGM (P6 or P5)");
  const int channels = magic == "P5" ? 1 : 3;
  bytes.remove_prefix(2);
  const std::int64_t width = take_number(bytes), height = take_number(bytes);
  if (const int highest = take_number(bytes); highest != 255) {
    throw RequestError("samples up to " + std::to_string(highest) + "; expected 8 bits a sample, up to 255");
  }
  if (width * height > kMaxPixels) {
    throw RequestError(std::to_string(width) + " x " + std::to_string(height) + " pixels; at most " +
                       std::to_string(kMaxPixels) + " are decoded");
  }
  Image image(static_cast<int>(width), static_cast<int>(height), channels);
  if (bytes.empty() || !blank(bytes[0]) || bytes.size() - 1 < image.pixels.size()) {
    throw RequestError("the PPM ends before its last pixel");
  }
  std::copy_n(bytes.data() + 1, image.pixels.size(), reinterpret_cast<char*>(image.pixels.data()));
  return image;
}

}  // namespace ppresnet
