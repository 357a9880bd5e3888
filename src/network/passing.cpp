// SPDX-License-Identifier: Apache-2.0
#include "network/passing.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace trainyard::network {

namespace {

constexpr size_t kMaxText = 4096;

struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

}  // namespace

Result<std::pair<Fd, Fd>> make_passage() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "making a socket pair");
  }
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

Result<> pass(int to, const std::string& text, int fd) {
  iovec part{const_cast<char*>(text.data()), std::min(text.size(), kMaxText)};
  Control control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  }
  if (::sendmsg(to, &message, MSG_NOSIGNAL) < 0) return fail_errno(errno, "passing a descriptor");
  return {};
}

Result<Passed> receive_passed(int from) {
  std::array<char, kMaxText> text{};
  iovec part{text.data(), text.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t count = 0;
  do {
    count = ::recvmsg(from, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return fail_errno(errno, "receiving a descriptor");
  if (count == 0) return fail(Code::unavailable, "the process that makes the network ended");
  Passed passed;
  passed.text.assign(text.data(), static_cast<size_t>(count));
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head != nullptr && head->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    passed.fd.reset(fd);
  }
  return passed;
}

}  // namespace trainyard::network
