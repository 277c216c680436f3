// Image files: raw PPM and PGM always, JPEG and PNG when their libraries were found.
#pragma once

#include <filesystem>
#include <string_view>

#include "pixels.hpp"

namespace ppresnet {

// Reads a file, upright. Throws RequestError naming it when it cannot be read whole.
Image read_image(const std::filesystem::path& path);

// Each throws RequestError; transparency and CMYK are refused.
Image decode_jpeg(std::string_view bytes);
Image decode_png(std::string_view bytes);

}  // namespace ppresnet
