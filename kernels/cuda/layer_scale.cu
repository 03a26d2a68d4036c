#include "kernels/cuda/device.h"
#include "kernels/cuda/layer_scale.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/slab_sum.h"

namespace navit::kernels::cuda {
namespace {

// y += gain·x
struct Forward {
  struct Args {
    const Bf16* x;
    const float* gain;
    Bf16* y;
  };
  struct Loaded {
    Vector16 x, y;
  };

  NAVIT_DEVICE Forward(const Args& args, int64_t i, int64_t dim)
      : x_(args.x), before_(args.y), y_(args.y), i_(i), dim_(dim) {
    LoadEight(gain_, Global<const float>(args.gain), i, dim);
  }

  NAVIT_DEVICE Loaded Load(int64_t row) const {
    return {LoadPacked(x_ + row * dim_, i_, dim_), LoadPacked(before_ + row * dim_, i_, dim_)};
  }
  NAVIT_DEVICE void Take(int64_t row, const Loaded& loaded, float (&terms)[8]) const {
    float x[8];
    Unpack(loaded.x, x);
    Unpack(loaded.y, terms);
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) terms[j] = Fma(gain_[j], x[j], terms[j]);
    StoreEight(terms, y_ + row * dim_, i_, dim_);
  }

 private:
  const Global<const Bf16> x_, before_;
  const Global<Bf16> y_;
  const int64_t i_, dim_;
  float gain_[8];
};

// dx = gain·dy; the terms are dy·x.
struct Backward {
  struct Args {
    const Bf16* x;
    const Bf16* dy;
    const float* gain;
    Bf16* dx;
  };
  struct Loaded {
    Vector16 x, dy;
  };

  NAVIT_DEVICE Backward(const Args& args, int64_t i, int64_t dim)
      : x_(args.x), dy_(args.dy), dx_(args.dx), i_(i), dim_(dim) {
    LoadEight(gain_, Global<const float>(args.gain), i, dim);
  }

  NAVIT_DEVICE Loaded Load(int64_t row) const {
    return {LoadPacked(x_ + row * dim_, i_, dim_), LoadPacked(dy_ + row * dim_, i_, dim_)};
  }
  NAVIT_DEVICE void Take(int64_t row, const Loaded& loaded, float (&terms)[8]) const {
    float dy[8];
    Unpack(loaded.x, terms);
    Unpack(loaded.dy, dy);
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) {
      terms[j] *= dy[j];
      dy[j] *= gain_[j];
    }
    StoreEight(dy, dx_ + row * dim_, i_, dim_);
  }

 private:
  const Global<const Bf16> x_, dy_;
  const Global<Bf16> dx_;
  const int64_t i_, dim_;
  float gain_[8];
};

}  // namespace

LaunchError LayerScaleForward(const LayerScaleForwardArgs& args, Stream stream) {
  return WalkSlabs<Forward>(args.rows, args.dim, {args.x, args.gain, args.y}, nullptr, nullptr,
                            stream);
}

LaunchError LayerScaleBackward(const LayerScaleBackwardArgs& args, Stream stream) {
  return WalkSlabs<Backward>(args.rows, args.dim, {args.x, args.dy, args.gain, args.dx}, args.dgain,
                             args.partial, stream);
}

}  // namespace navit::kernels::cuda
