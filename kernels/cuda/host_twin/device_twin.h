// device.h for the host compiler: the primitives on the twin, with every access checked. For tests;
// no binary that a user runs links it.
#ifndef NAVIT_KERNELS_CUDA_HOST_TWIN_DEVICE_TWIN_H_
#define NAVIT_KERNELS_CUDA_HOST_TWIN_DEVICE_TWIN_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/host_twin/grid.h"
#include "kernels/cuda/host_twin/memory.h"
#include "kernels/cuda/host_twin/streams.h"
#include "kernels/cuda/host_twin/tensor.h"
#include "kernels/cuda/launch.h"

#define NAVIT_DEVICE [[maybe_unused]] inline
#define NAVIT_UNROLL
#define NAVIT_UNROLL_TWICE

namespace navit::kernels::cuda {

// --- index

inline int ThreadIndex() { return twin::Thread(); }
inline int LaneIndex() { return twin::Thread() % 32; }
inline int WarpIndex() { return twin::Thread() / 32; }
inline int64_t BlockIndex() { return twin::Block(); }
inline int64_t BlockCount() { return twin::Blocks(); }

// --- memory

// The region of a pointer is looked up once; what is reached from it must stay inside.
template <typename T, bool kShared>
class CheckedPointer {
 public:
  using Value = std::remove_const_t<T>;
  CheckedPointer() = default;
  explicit CheckedPointer(T* pointer)
      : pointer_(pointer), region_(pointer == nullptr ? nullptr : twin::FindRegion(pointer)) {}
  CheckedPointer(T* pointer, twin::Region* region, const T* begin, const T* end)
      : pointer_(pointer), region_(region), begin_(begin), end_(end) {}

  explicit operator bool() const { return pointer_ != nullptr; }
  CheckedPointer operator+(int64_t i) const {
    CheckedPointer result = *this;
    // Through an integer: the address may lie outside of the buffer until it is used.
    result.pointer_ = reinterpret_cast<T*>(reinterpret_cast<intptr_t>(pointer_) +
                                           i * static_cast<int64_t>(sizeof(T)));
    return result;
  }
  Value Load(int64_t i, const twin::Site& site = twin::Site::current()) const {
    return LoadAs<Value>(i, site);
  }
  void Store(int64_t i, Value value, const twin::Site& site = twin::Site::current()) const {
    StoreAs<Value>(i, value, site);
  }
  template <typename V>
  V LoadAs(int64_t i, const twin::Site& site = twin::Site::current()) const {
    V value{};
    (*this + i).Read(&value, sizeof(V), site);
    return value;
  }
  template <typename V>
  void StoreAs(int64_t i, const V& value, const twin::Site& site = twin::Site::current()) const {
    const CheckedPointer to = *this + i;
    if (to.Usable(sizeof(V), site)) {
      region_->Write(twin::CurrentActor(), to.bytes(), &value, sizeof(V), site);
    }
  }

  // For this file.
  void Read(void* to, size_t count, const twin::Site& site) const {
    if (Usable(count, site)) region_->Read(twin::CurrentActor(), bytes(), to, count, site);
  }
  bool Usable(size_t count, const twin::Site& site) const {
    if (region_ == nullptr) {
      twin::Report(site, "access through a pointer that is in no buffer");
      return false;
    }
    if (begin_ == nullptr) return true;
    const auto address = reinterpret_cast<uintptr_t>(pointer_);
    if (address >= reinterpret_cast<uintptr_t>(begin_) &&
        address + count <= reinterpret_cast<uintptr_t>(end_)) {
      return true;
    }
    twin::Report(site, "access outside of a part of shared memory");
    return false;
  }
  std::byte* bytes() const { return reinterpret_cast<std::byte*>(const_cast<Value*>(pointer_)); }
  twin::Region* region() const { return region_; }

 private:
  T* pointer_ = nullptr;
  twin::Region* region_ = nullptr;
  // The part of shared memory that it was made for; null: all of the region.
  const T* begin_ = nullptr;
  const T* end_ = nullptr;
};

template <typename T>
using Global = CheckedPointer<T, false>;
template <typename T>
using Shared = CheckedPointer<T, true>;

template <typename T>
Shared<T> SharedMemory(int64_t byte_offset, int64_t count) {
  twin::Region* region = twin::SharedRegion();
  T* begin = reinterpret_cast<T*>(region->data() + byte_offset);
  return Shared<T>(begin, region, begin, begin + count);
}

// --- order

inline void BlockBarrier(const twin::Site& site = twin::Site::current()) {
  twin::BlockBarrier(site);
}
inline void WarpBarrier(const twin::Site& site = twin::Site::current()) { twin::WarpBarrier(site); }

// --- warp

template <typename T>
T ShuffleFrom(T value, int lane, const twin::Site& site = twin::Site::current()) {
  struct Lane {
    T value;
    int from;
    T result;
  } mine{value, lane & 31, {}};
  twin::MeetLanes(
      &mine,
      [](void* const(&lanes)[32]) {
        for (void* lane : lanes) {
          auto* to = static_cast<Lane*>(lane);
          to->result = static_cast<const Lane*>(lanes[to->from])->value;
        }
      },
      site);
  return mine.result;
}
template <typename T>
T ShuffleXor(T value, int mask, const twin::Site& site = twin::Site::current()) {
  return ShuffleFrom(value, LaneIndex() ^ mask, site);
}

// --- tensor

inline void Mma16x8x16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                       const twin::Site& site = twin::Site::current()) {
  twin::MmaLane mine{c, a, {b0, b1}};
  twin::MeetLanes(
      &mine,
      [](void* const(&lanes)[32]) {
        twin::MmaLane* typed[32];
        for (int i = 0; i < 32; ++i) typed[i] = static_cast<twin::MmaLane*>(lanes[i]);
        twin::Mma(typed);
      },
      site);
}

template <bool kTransposed>
void LoadMatrixFrom(uint32_t (&r)[4], Shared<Bf16> row, const twin::Site& site) {
  twin::LoadMatrixLane mine{{}, r};
  row.Read(mine.row, sizeof(mine.row), site);
  twin::MeetLanes(
      &mine,
      [](void* const(&lanes)[32]) {
        twin::LoadMatrixLane* typed[32];
        for (int i = 0; i < 32; ++i) typed[i] = static_cast<twin::LoadMatrixLane*>(lanes[i]);
        twin::LoadMatrix(typed, kTransposed);
      },
      site);
}
inline void LoadMatrix4(uint32_t (&r)[4], Shared<Bf16> row,
                        const twin::Site& site = twin::Site::current()) {
  LoadMatrixFrom<false>(r, row, site);
}
inline void LoadMatrix4Transposed(uint32_t (&r)[4], Shared<Bf16> row,
                                  const twin::Site& site = twin::Site::current()) {
  LoadMatrixFrom<true>(r, row, site);
}

// --- copies

template <typename T>
void CopyAsync16(Shared<T> to, Global<const T> from, bool valid,
                 const twin::Site& site = twin::Site::current()) {
  std::byte bytes[16] = {};
  if (valid) from.Read(bytes, sizeof(bytes), site);
  if (to.Usable(sizeof(bytes), site)) twin::CopyAsync(to.region(), to.bytes(), bytes, site);
}
inline void CopyAsyncCommit() { twin::CopyAsyncCommit(); }
template <int kPending>
void CopyAsyncWait(const twin::Site& site = twin::Site::current()) {
  twin::CopyAsyncWait(kPending, site);
}

// --- numbers

inline float ToFloat(Bf16 value) { return Bf16ToFloat(value); }
inline Bf16 ToBf16(float value) { return FloatToBf16(value); }
inline uint32_t PackBf16(float low, float high) {
  return FloatToBf16(low).bits | static_cast<uint32_t>(FloatToBf16(high).bits) << 16;
}
inline float UnpackLow(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
inline float UnpackHigh(uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }

inline float Exp2(float x) { return std::exp2(x); }
inline float Log2(float x) { return std::log2(x); }
inline float Reciprocal(float x) { return 1 / x; }
inline float InverseSqrt(float x) { return 1 / std::sqrt(x); }
inline float Exp(float x) { return std::exp(x); }
inline float Log(float x) { return std::log(x); }
inline float Log1p(float x) { return std::log1p(x); }
inline float Sqrt(float x) { return std::sqrt(x); }
inline float Erf(float x) { return std::erf(x); }
inline float Sin(float x) { return std::sin(x); }
inline float Cos(float x) { return std::cos(x); }
inline float Max(float a, float b) { return std::fmax(a, b); }
inline float Min(float a, float b) { return std::fmin(a, b); }
inline float Fma(float a, float b, float c) { return std::fma(a, b, c); }

// --- host

template <typename Kernel>
LaunchError Launch(const LaunchShape& shape, Stream stream, const typename Kernel::Args& args) {
  if (shape.threads != Kernel::kThreads) {
    twin::Report(twin::Site::current(), "a launch whose threads are not kThreads");
  }
  twin::Queue(stream, [shape, args] { twin::RunGrid(shape, [&args] { Kernel::Run(args); }); });
  return {};
}

inline LaunchError FillZero(void* pointer, int64_t bytes, Stream stream) {
  if (bytes == 0) return {};
  twin::Region* region = twin::FindRegion(pointer);
  const auto* from = static_cast<std::byte*>(pointer);
  if (region == nullptr || from + bytes > region->data() + region->bytes()) {
    twin::Report(twin::Site::current(), "FillZero outside of every buffer");
    return {};
  }
  twin::Queue(stream, [pointer, bytes, from, region] {
    std::memset(pointer, 0, static_cast<size_t>(bytes));
    region->SetWritten(from - region->data(), static_cast<size_t>(bytes));
  });
  return {};
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_HOST_TWIN_DEVICE_TWIN_H_
