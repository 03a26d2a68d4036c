// Decoded pictures and what tests expect of them.
#ifndef NAVIT_PACKER_TESTING_PICTURES_H_
#define NAVIT_PACKER_TESTING_PICTURES_H_

#include <cstdint>
#include <functional>
#include <string>

#include "packer/image.h"
#include "proto/pack.pb.h"

namespace navit::testing {

// Decodes at full size after reading the header, as the packer does, and converts to RGB.
v1::HoleReason Decode(const std::string& bytes, Image* image, const Rgb& background = kWhite);

// Of all channels of all pixels; expects equal sizes.
double MeanDifference(const Image& a, const Image& b);

// `image` with every pixel what `change` makes of it.
Image Map(const Image& image, const std::function<Rgb(const uint8_t*)>& change);

// `image` with every channel the grey that EncodePng makes.
Image Grey(const Image& image);

// Over a colour, with an alpha that rises from left to right as EncodePng's.
Image Faded(const Image& image, const Rgb& background = kWhite);

// In the 64 colours of EncodePng's palette.
Image Quantised(const Image& image);

}  // namespace navit::testing

#endif  // NAVIT_PACKER_TESTING_PICTURES_H_
