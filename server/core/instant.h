// Time as an argument: decisions never read a clock.
#ifndef NAVIT_SERVER_CORE_INSTANT_H_
#define NAVIT_SERVER_CORE_INSTANT_H_

namespace navit {

struct Instant {
  // Seconds of a steady clock, from any origin: leases and deadlines.
  double steady = 0;
  // Unix time: what people read and events record. Never compared.
  double unix_time = 0;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_INSTANT_H_
