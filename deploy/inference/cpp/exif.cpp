#include "exif.hpp"

#include <algorithm>

namespace ppresnet {
namespace {

constexpr unsigned kOrientation = 0x0112, kShort = 3;

// An unsigned number of `size` bytes; 0 past the end.
unsigned number(std::string_view tiff, std::size_t offset, int size) {
  if (offset > tiff.size() || tiff.size() - offset < static_cast<std::size_t>(size)) return 0;
  unsigned value = 0;
  for (int i = 0; i < size; ++i) {
    const int at = tiff[0] == 'M' ? i : size - 1 - i;
    value = value << 8 | static_cast<unsigned char>(tiff[offset + at]);
  }
  return value;
}

}  // namespace

int exif_orientation(std::string_view tiff) {
  if (tiff.substr(0, 2) != "II" && tiff.substr(0, 2) != "MM") return 1;
  const std::size_t directory = number(tiff, 4, 4);
  const unsigned count = number(tiff, directory, 2);
  for (unsigned i = 0; i < count; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (number(tiff, entry, 2) != kOrientation || number(tiff, entry + 2, 2) != kShort) continue;
    const unsigned found = number(tiff, entry + 8, 2);
    return found >= 1 && found <= 8 ? static_cast<int>(found) : 1;
  }
  return 1;
}

Image upright(const Image& image, int orientation) {
  if (orientation == 1) return image;
  const bool swapped = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image result(swapped ? image.height : image.width, swapped ? image.width : image.height, image.channels);
  for (int y = 0; y < result.height; ++y) {
    for (int x = 0; x < result.width; ++x) {
      const int column = swapped ? y : x, line = swapped ? x : y;
      const std::uint8_t* in = image.row(from_bottom ? image.height - 1 - line : line) +
                               (from_right ? image.width - 1 - column : column) * image.channels;
      std::copy_n(in, image.channels, result.row(y) + x * image.channels);
    }
  }
  return result;
}

}  // namespace ppresnet
