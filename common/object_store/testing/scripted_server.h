// An HTTP server whose every reply is scripted, broken ones included.
#ifndef NAVIT_COMMON_OBJECT_STORE_TESTING_SCRIPTED_SERVER_H_
#define NAVIT_COMMON_OBJECT_STORE_TESTING_SCRIPTED_SERVER_H_

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace navit::testing {

struct ScriptedRequest {
  std::string method;
  // With the query.
  std::string target;
  // Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;
};

struct ScriptedReply {
  int status = 200;
  // Lines "name: value".
  std::vector<std::string> headers;
  std::string body;
  // Content-Length says this much more than is sent; the connection is closed behind it.
  size_t missing_bytes = 0;
  // The connection is reset behind the body, or, with no_reply, before anything is sent.
  bool reset = false;
  bool no_reply = false;
};

// The reply of a plain server that holds `object` under a strong tag: 200, 206, 412 or 416.
ScriptedReply ServeObject(const ScriptedRequest& request, const std::string& object,
                          const std::string& tag);

// Listens on loopback; keeps connections alive. Connections are served in parallel.
class ScriptedServer {
 public:
  using Script = std::function<ScriptedReply(const ScriptedRequest&)>;
  explicit ScriptedServer(Script script);
  ~ScriptedServer();

  // "http://127.0.0.1:PORT".
  std::string url() const;
  int requests() const { return requests_; }
  int connections() const { return connections_; }

 private:
  void Accept();
  void Serve(int fd);

  const Script script_;
  int listener_;
  int port_;
  std::atomic<int> requests_{0};
  std::atomic<int> connections_{0};
  absl::Mutex mutex_;
  std::vector<int> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> serving_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread accepting_;
};

}  // namespace navit::testing

#endif  // NAVIT_COMMON_OBJECT_STORE_TESTING_SCRIPTED_SERVER_H_
