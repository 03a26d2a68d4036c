#include "kernels/cuda/host_twin/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

// Pushes the registers that a call preserves, swaps stacks, pops them.
extern "C" void NavitTwinSwitchStack(void** save_stack_pointer, void* stack_pointer);
asm(R"(
.text
.globl NavitTwinSwitchStack
.type NavitTwinSwitchStack, @function
NavitTwinSwitchStack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size NavitTwinSwitchStack, .-NavitTwinSwitchStack
)");

namespace navit::kernels::cuda::twin {
namespace {

// Touched pages alone take memory. The lowest page is never mapped: an overflow crashes there.
constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kGuardBytes = 4096;

thread_local Fiber* current = nullptr;
thread_local void* resumer_stack_pointer = nullptr;
#if defined(__SANITIZE_ADDRESS__)
thread_local const void* resumer_stack = nullptr;
thread_local size_t resumer_stack_bytes = 0;
#endif
#if defined(__SANITIZE_THREAD__)
thread_local void* resumer_fiber = nullptr;
#endif

}  // namespace

Fiber::Fiber() {
  void* stack = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, kGuardBytes, PROT_NONE) != 0) {
    std::perror("a fiber's stack");
    std::abort();
  }
  stack_ = static_cast<char*>(stack);
#if defined(__SANITIZE_THREAD__)
  sanitizer_fiber_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(sanitizer_fiber_);
#endif
  munmap(stack_, kGuardBytes + kStackBytes);
}

void Fiber::Start(void (*function)(void*), void* argument) {
  function_ = function;
  argument_ = argument;
  ended_ = false;
  sanitizer_stack_ = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  // Frames of a function that did not end still mark the stack.
  ASAN_UNPOISON_MEMORY_REGION(stack_ + kGuardBytes, kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
  // TSan's shadow of calls belongs to the fiber and must begin empty.
  __tsan_destroy_fiber(sanitizer_fiber_);
  sanitizer_fiber_ = __tsan_create_fiber(0);
#endif
  // As if Entry had been called: six registers, its address, and a return address that is not used
  // and leaves the stack as the calling convention wants it at a function's first instruction.
  auto** top = reinterpret_cast<void**>(stack_ + kGuardBytes + kStackBytes);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&Fiber::Entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  stack_pointer_ = top;
}

void Fiber::Resume() {
  current = this;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack_ + kGuardBytes, kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
  resumer_fiber = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(sanitizer_fiber_, 0);
#endif
  NavitTwinSwitchStack(&resumer_stack_pointer, stack_pointer_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  current = nullptr;
}

void Fiber::Yield() {
  Fiber* self = current;
#if defined(__SANITIZE_ADDRESS__)
  // Null: the fiber does not come back, its fake stack can go.
  __sanitizer_start_switch_fiber(self->ended_ ? nullptr : &self->sanitizer_stack_, resumer_stack,
                                 resumer_stack_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(resumer_fiber, 0);
#endif
  NavitTwinSwitchStack(&self->stack_pointer_, resumer_stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(self->sanitizer_stack_, &resumer_stack, &resumer_stack_bytes);
#endif
}

void Fiber::Entry() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &resumer_stack, &resumer_stack_bytes);
#endif
  Fiber* self = current;
  self->function_(self->argument_);
  self->ended_ = true;
  Yield();
  std::abort();  // an ended fiber is not resumed
}

}  // namespace navit::kernels::cuda::twin
