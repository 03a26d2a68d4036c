#include "packer/augmentation.h"

#include <algorithm>
#include <cmath>

#include "packer/portable_math.h"

namespace navit {
namespace {

// A draw as a number in [0, 1).
double Unit(Draws& draws) { return draws.Next() / 4294967296.0; }

uint32_t Rounded(double side, uint32_t longest) {
  return std::clamp<uint32_t>(static_cast<uint32_t>(std::min<double>(side + 0.5, longest)), 1,
                              longest);
}

}  // namespace

Part DrawCrop(const v1::CropSpec& spec, uint32_t width, uint32_t height, Draws draws) {
  if (spec.min_area() >= 1 && spec.aspect_jitter() <= 1) return {0, 0, width, height};
  const double area = spec.min_area() + (spec.max_area() - spec.min_area()) * Unit(draws);
  // The exponent is at most 0, as portable::Exp wants it; `wider` says which side it shortens.
  const double exponent = 2 * Unit(draws) - 1;
  const bool wider = exponent > 0;
  const double log_jitter = portable::Log(std::max(1.0, spec.aspect_jitter()));
  const double factor = portable::Exp(-(wider ? exponent : -exponent) * log_jitter);
  // IEEE square roots are exact, and so equal on every machine.
  const double longer = std::sqrt(area / factor), shorter = std::sqrt(area * factor);
  Part crop;
  crop.width = Rounded(width * (wider ? longer : shorter), width);
  crop.height = Rounded(height * (wider ? shorter : longer), height);
  crop.left = draws.Below(width - crop.width + 1);
  crop.top = draws.Below(height - crop.height + 1);
  return crop;
}

bool DrawFlip(double share, Draws draws) { return share > 0 && Unit(draws) < share; }

}  // namespace navit
