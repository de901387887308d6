// What is said to the kernel over netlink(7), and what it answers: messages of a header, a subject and
// attributes, as all that speak it have them in common.
#pragma once

#include <linux/netlink.h>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

/// Throws std::system_error when it becomes longer than a message or an attribute can be.
class NetlinkMessage {
  public:
    template <class Subject>
    NetlinkMessage(unsigned type, unsigned flags, const Subject& subject) {
        header_.nlmsg_type = static_cast<std::uint16_t>(type);
        header_.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        append(&header_, sizeof header_);
        append(&subject, sizeof subject);
    }

    void add(unsigned type, const void* data, std::size_t length);
    void add(unsigned type, const std::string& text) { add(type, text.c_str(), text.size() + 1); }
    /// In the octets' order of networks.
    void add_number(unsigned type, std::uint32_t number);
    void add_long_number(unsigned type, std::uint64_t number);

    /// An attribute of attributes: those that `fill` adds.
    template <std::invocable Fill>
    void nest(unsigned type, Fill fill) {
        const std::size_t at = begin(type);
        fill();
        end(at);
    }
    /// The same, with a subject of its own before them.
    template <class Subject, std::invocable Fill>
    void nest(unsigned type, const Subject& subject, Fill fill) {
        const std::size_t at = begin(type);
        append(&subject, sizeof subject);
        fill();
        end(at);
    }

    /// As it is sent. Answers name its number.
    [[nodiscard]] std::string_view numbered(std::uint32_t sequence);

  private:
    [[nodiscard]] std::size_t begin(unsigned type);
    void end(std::size_t at);
    void append(const void* data, std::size_t length);

    nlmsghdr header_{};
    std::string octets_;
};

/// The number in the attribute of that type, of those that lie in `attributes`. Throws std::system_error
/// when there is none.
[[nodiscard]] std::uint32_t number_in(std::string_view attributes, unsigned type);

struct NetlinkAnswer {
    unsigned type = 0;
    std::uint32_t sequence = 0;
    std::string payload;  ///< what follows the header

    /// Whether it says how a message was taken, and nothing else.
    [[nodiscard]] bool is_verdict() const { return type == NLMSG_ERROR; }
    /// Of a verdict: 0, or as errno has it.
    [[nodiscard]] int error() const;
};

/// Of the network namespace that the thread which makes it is in. Throws std::system_error.
class NetlinkSocket {
  public:
    explicit NetlinkSocket(int protocol);
    ~NetlinkSocket();
    NetlinkSocket(const NetlinkSocket&) = delete;
    NetlinkSocket& operator=(const NetlinkSocket&) = delete;

    /// Nothing is waited for: the kernel has acted and answered when the messages are sent. Not for
    /// questions whose answer comes in parts (NLM_F_DUMP).
    [[nodiscard]] std::vector<NetlinkAnswer> send(std::string_view messages) const;

  private:
    [[nodiscard]] bool take(std::vector<NetlinkAnswer>& answers) const;

    int number_;
};

}  // namespace fallow::agent
