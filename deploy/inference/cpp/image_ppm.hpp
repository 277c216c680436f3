// Raw PPM (P6, colour) and PGM (P5, grey) with 8 bits a sample; needs no library.
#pragma once

#include <string_view>

#include "pixels.hpp"

namespace ppresnet {

// Throws RequestError when the bytes are anything else, or more than kMaxPixels.
Image decode_ppm(std::string_view bytes);

}  // namespace ppresnet
