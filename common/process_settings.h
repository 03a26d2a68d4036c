// Settings that every program of ours runs with.
#ifndef NAVIT_COMMON_PROCESS_SETTINGS_H_
#define NAVIT_COMMON_PROCESS_SETTINGS_H_

namespace navit {

// Call at the start of main.
// - Freed memory is kept for the next packs rather than unmapped, cleared by the kernel and faulted
//   in anew; only blocks of more than 32 MiB go back at once.
// - Abseil's detection of deadlocks, which Debian's build switches on, is off: gRPC locks a mutex
//   several times per message. Tests keep it.
// - gRPC goes on connecting between two calls, ten times a second rather than every 5 s: a
//   coordinator that comes back, or another one that leads, is found at once.
// - As many files may be open as the hard limit allows: a coordinator has several connections of
//   every worker.
void ApplyProcessSettings();

}  // namespace navit

#endif  // NAVIT_COMMON_PROCESS_SETTINGS_H_
