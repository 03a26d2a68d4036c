// How much of a Pull stream may be on its way: a step goes out when its bytes fit into the credit,
// or, however large it is, when the trainer has used up all that was sent before.
#ifndef NAVIT_SERVER_RELAY_SEND_WINDOW_H_
#define NAVIT_SERVER_RELAY_SEND_WINDOW_H_

#include <cstdint>

namespace navit {

// Thread-compatible.
class SendWindow {
 public:
  // Credit of one message. The stream's first one is the trainer's whole buffer; a later one gives
  // back what the trainer has used, or enlarges the buffer. Sums saturate.
  void AddCredit(uint64_t bytes) {
    if (!opened_) initial_ = bytes;
    opened_ = true;
    credit_ = credit_ > UINT64_MAX - bytes ? UINT64_MAX : credit_ + bytes;
  }

  bool MaySend(uint64_t bytes) const {
    if (!opened_) return false;
    return bytes <= available() || outstanding() == 0;
  }

  void OnSent(uint64_t bytes) { sent_ = sent_ > UINT64_MAX - bytes ? UINT64_MAX : sent_ + bytes; }

  // Sent and not yet given back.
  uint64_t outstanding() const {
    const uint64_t returned = credit_ - initial_;
    return sent_ > returned ? sent_ - returned : 0;
  }
  uint64_t available() const { return credit_ > sent_ ? credit_ - sent_ : 0; }

 private:
  bool opened_ = false;
  uint64_t initial_ = 0;
  uint64_t credit_ = 0;
  uint64_t sent_ = 0;
};

}  // namespace navit

#endif  // NAVIT_SERVER_RELAY_SEND_WINDOW_H_
