// Reads the reply of a program in a job, which need not be a good one, with Beast's parser and without I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::http {

inline constexpr std::uint32_t guest_head_bytes_max = 64 * 1024;
inline constexpr std::size_t guest_headers_max = 200;

class GuestReplyReader {
  public:
    explicit GuestReplyReader(bool is_to_head_request);
    ~GuestReplyReader();
    GuestReplyReader(const GuestReplyReader&) = delete;
    GuestReplyReader& operator=(const GuestReplyReader&) = delete;

    /// Takes what it understands from the front of `bytes`, and appends what is of the body, decoded.
    /// Nothing is taken behind the reply's end. bad_request when this is no HTTP/1.1; then the reader is of
    /// no use.
    [[nodiscard]] Status feed(std::string& bytes, std::string& body);
    /// Nothing more can come; bad_request when something was missing.
    [[nodiscard]] Status finish();

    [[nodiscard]] bool has_head() const;
    [[nodiscard]] bool is_done() const;
    // Of a reply that has its head.
    [[nodiscard]] int status() const;
    [[nodiscard]] const Fields& headers() const;
    [[nodiscard]] std::optional<std::uint64_t> content_length() const;
    /// Whether another request can follow on the connection once the reply is done.
    [[nodiscard]] bool keeps_alive() const;

  private:
    class Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace fallow::http
