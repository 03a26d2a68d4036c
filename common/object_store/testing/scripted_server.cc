#include "common/object_store/testing/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace navit::testing {
namespace {

bool SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// One request from `fd`; what follows it stays in `buffer`. False: the connection ended.
bool ReadRequest(int fd, std::string* buffer, ScriptedRequest* request) {
  char piece[1 << 16];
  size_t head = 0;
  size_t needed = std::string::npos;
  while (needed == std::string::npos || buffer->size() < needed) {
    if (needed == std::string::npos && (head = buffer->find("\r\n\r\n")) != std::string::npos) {
      const std::vector<std::string> lines =
          absl::StrSplit(buffer->substr(0, head), absl::ByString("\r\n"));
      const std::vector<std::string> first = absl::StrSplit(lines[0], ' ');
      request->method = first[0];
      request->target = first[1];
      for (size_t i = 1; i < lines.size(); ++i) {
        const std::pair<std::string, std::string> header =
            absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
        request->headers[absl::AsciiStrToLower(header.first)] =
            std::string(absl::StripAsciiWhitespace(header.second));
      }
      size_t length = 0;
      if (!absl::SimpleAtoi(request->headers["content-length"], &length)) length = 0;
      needed = head + 4 + length;
      continue;
    }
    const ssize_t got = recv(fd, piece, sizeof(piece), 0);
    if (got <= 0) return false;
    buffer->append(piece, static_cast<size_t>(got));
  }
  request->body = buffer->substr(head + 4, needed - head - 4);
  buffer->erase(0, needed);
  return true;
}

}  // namespace

ScriptedReply ServeObject(const ScriptedRequest& request, const std::string& object,
                          const std::string& tag) {
  ScriptedReply reply;
  reply.headers = {"ETag: " + tag, "Accept-Ranges: bytes"};
  const auto match = request.headers.find("if-match");
  if (match != request.headers.end() && match->second != tag) {
    reply.status = 412;
    return reply;
  }
  const auto range = request.headers.find("range");
  reply.body = object;
  if (range == request.headers.end()) return reply;
  const std::vector<std::string> ends =
      absl::StrSplit(range->second.substr(std::string("bytes=").size()), '-');
  size_t first = 0, last = 0;
  if (!absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends[1], &last)) std::abort();
  if (first >= object.size()) {
    reply.status = 416;
    reply.body = "";
    return reply;
  }
  reply.status = 206;
  last = std::min(last, object.size() - 1);
  reply.body = object.substr(first, last - first + 1);
  reply.headers.push_back(
      absl::StrCat("Content-Range: bytes ", first, "-", last, "/", object.size()));
  return reply;
}

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  std::vector<std::thread> serving;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  {
    absl::MutexLock lock(&mutex_);
    serving = std::move(serving_);
  }
  for (std::thread& thread : serving) thread.join();
  close(listener_);
}

std::string ScriptedServer::url() const { return absl::StrCat("http://127.0.0.1:", port_); }

void ScriptedServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    absl::MutexLock lock(&mutex_);
    if (fd < 0 || ending_) {
      if (fd >= 0) close(fd);
      return;
    }
    ++connections_;
    open_.push_back(fd);
    serving_.emplace_back([this, fd] { Serve(fd); });
  }
}

void ScriptedServer::Serve(int fd) {
  std::string buffer;
  ScriptedRequest request;
  while (ReadRequest(fd, &buffer, &request)) {
    ++requests_;
    const ScriptedReply reply = script_(request);
    std::string head = absl::StrCat("HTTP/1.1 ", reply.status, " Scripted\r\nContent-Length: ",
                                    reply.body.size() + reply.missing_bytes, "\r\n");
    for (const std::string& line : reply.headers) absl::StrAppend(&head, line, "\r\n");
    head += "\r\n";
    if (reply.no_reply) break;
    // In one piece: a second one would wait for the first one's acknowledgement.
    if (request.method != "HEAD") head += reply.body;
    if (!SendAll(fd, head)) break;
    if (reply.reset) {
      const linger at_once = {1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
      break;
    }
    if (reply.missing_bytes > 0) break;
    request = ScriptedRequest();
  }
  absl::MutexLock lock(&mutex_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  close(fd);
}

}  // namespace navit::testing
