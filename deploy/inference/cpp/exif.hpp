// The orientation tag of EXIF data, and turning an image by it.
#pragma once

#include <string_view>

#include "pixels.hpp"

namespace ppresnet {

// 1 to 8 as in EXIF 2.3, 4.6.4; 1, upright, when the tag is missing or damaged. `tiff` begins with II or MM.
int exif_orientation(std::string_view tiff);

Image upright(const Image& image, int orientation);

}  // namespace ppresnet
