// A stack of its own for a function, entered and left without a system call.
#ifndef NAVIT_KERNELS_CUDA_HOST_TWIN_FIBER_H_
#define NAVIT_KERNELS_CUDA_HOST_TWIN_FIBER_H_

#include <cstddef>

namespace navit::kernels::cuda::twin {

// x86-64 only. All calls from one thread. Tells the address and thread sanitizers of each switch.
class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next Resume calls function(argument) on this fiber's stack. What ran there before and did
  // not end is dropped without destructors.
  void Start(void (*function)(void*), void* argument);

  // Runs the fiber until it calls Yield or its function returns. From outside of fibers.
  void Resume();

  // Inside a fiber: returns to the caller of Resume.
  static void Yield();

  bool ended() const { return ended_; }

 private:
  static void Entry();

  char* stack_ = nullptr;
  void* stack_pointer_ = nullptr;
  void (*function_)(void*) = nullptr;
  void* argument_ = nullptr;
  bool ended_ = true;
  void* sanitizer_stack_ = nullptr;  // ASan's fake stack while the fiber does not run
  void* sanitizer_fiber_ = nullptr;  // TSan's
};

}  // namespace navit::kernels::cuda::twin

#endif  // NAVIT_KERNELS_CUDA_HOST_TWIN_FIBER_H_
