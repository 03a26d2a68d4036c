#include "packer/render.h"

#include <algorithm>
#include <utility>

namespace navit {
namespace {

// The side that a picture of `whole` pixels is to have so that `part` of them have `target`.
uint32_t WholeTarget(uint32_t target, uint32_t whole, uint32_t part) {
  return static_cast<uint32_t>(
      std::min<uint64_t>((uint64_t{target} * whole + part - 1) / part, 1u << 20));
}

// Width and height of the result before it is turned.
std::pair<uint32_t, uint32_t> StoredTarget(const RenderRequest& request) {
  if (request.orientation < 5) return {request.target_width, request.target_height};
  return {request.target_height, request.target_width};
}

}  // namespace

v1::HoleReason DecodeForRender(absl::string_view file, const RenderRequest& request,
                               RenderBuffers* buffers) {
  const auto [width, height] = StoredTarget(request);
  const v1::HoleReason reason =
      DecodeImage(file, request.format, request.width, request.height,
                  WholeTarget(width, request.width, request.part.width),
                  WholeTarget(height, request.height, request.part.height), &buffers->decoded,
                  request.background);
  if (reason != v1::HOLE_REASON_NONE) return reason;
  CropTo(request.part, request.width, request.height, &buffers->decoded);
  return v1::HOLE_REASON_NONE;
}

const Image& Render(const RenderRequest& request, RenderBuffers* buffers) {
  const auto [width, height] = StoredTarget(request);
  ResizeImage(buffers->decoded, width, height, request.interpolation, &buffers->scratch,
              &buffers->resized);
  if (request.orientation <= 1) return buffers->resized;
  ApplyOrientation(buffers->resized, request.orientation, &buffers->oriented);
  return buffers->oriented;
}

Interpolation InterpolationOf(const v1::PreprocessSpec& spec) {
  switch (spec.interpolation()) {
    case v1::PreprocessSpec::BILINEAR:
      return Interpolation::kBilinear;
    case v1::PreprocessSpec::BOX:
      return Interpolation::kBox;
    default:
      // Jobs that were resolved before the field existed too.
      return Interpolation::kBicubic;
  }
}

Rgb BackgroundOf(const v1::PreprocessSpec& spec) {
  Rgb background = kWhite;
  for (int c = 0; c < std::min(3, spec.background_size()); ++c) {
    background[c] = static_cast<uint8_t>(spec.background(c));
  }
  return background;
}

}  // namespace navit
