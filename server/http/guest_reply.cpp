#include "http/guest_reply.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "http/characters.hpp"

namespace fallow::http {
namespace {

namespace beast = boost::beast;

using View = beast::string_view;
using Code = beast::error_code;

std::string text_of(View view) {
    return std::string(view.data(), view.size());
}

}  // namespace

class GuestReplyReader::Parser final : public beast::http::basic_parser<false> {
  public:
    explicit Parser(bool is_to_head_request) {
        skip(is_to_head_request);
        header_limit(guest_head_bytes_max);
        body_limit(boost::none);
    }

    Fields headers;
    int status = 0;
    std::string* body = nullptr;  ///< while bytes are fed

  private:
    void on_request_impl(beast::http::verb, View, View, int, Code&) override {}
    void on_response_impl(int code, View, int, Code&) override { status = code; }
    void on_field_impl(beast::http::field, View name, View value, Code& error) override {
        if (is_header_done()) return;  // a trailer
        if (headers.size() == guest_headers_max)
            error = beast::http::error::header_limit;
        else
            headers.emplace_back(text_of(name), text_of(value));
    }
    /// Beast passes on a body in another coding as it is, and the coding's name is not passed on.
    void on_header_impl(Code& error) override {
        for (const auto& [name, value] : headers)
            if (equals_ignoring_case(name, "transfer-encoding") && !equals_ignoring_case(value, "chunked"))
                error = beast::http::error::bad_transfer_encoding;
    }
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
    std::size_t on_body_impl(View piece, Code&) override { return take(piece); }
    void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, View piece, Code&) override { return take(piece); }
    void on_finish_impl(Code&) override {}

    std::size_t take(View piece) {
        body->append(piece.data(), piece.size());
        return piece.size();
    }
};

GuestReplyReader::GuestReplyReader(bool is_to_head_request)
    : parser_(std::make_unique<Parser>(is_to_head_request)) {}

GuestReplyReader::~GuestReplyReader() = default;

Status GuestReplyReader::feed(std::string& bytes, std::string& body) {
    parser_->body = &body;
    std::size_t used = 0;
    Code error;
    while (!error && used < bytes.size() && !parser_->is_done()) {
        const std::size_t count =
            parser_->put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
        used += count;
        if (count == 0) break;
    }
    bytes.erase(0, used);
    parser_->body = nullptr;
    if (error && error != beast::http::error::need_more)
        return refuse(ErrorCode::bad_request, error.message());
    // Beast bounds heads, but not what stands between two chunks.
    if (!is_done() && bytes.size() > guest_head_bytes_max)
        return refuse(ErrorCode::bad_request, "a line of it has no end");
    return Done{};
}

Status GuestReplyReader::finish() {
    if (!has_head()) return refuse(ErrorCode::bad_request, "the connection ended before a reply");
    if (is_done()) return Done{};
    Code error;
    parser_->put_eof(error);
    if (error) return refuse(ErrorCode::bad_request, error.message());
    return Done{};
}

bool GuestReplyReader::has_head() const {
    return parser_->is_header_done();
}

bool GuestReplyReader::is_done() const {
    return parser_->is_done();
}

int GuestReplyReader::status() const {
    return parser_->status;
}

const Fields& GuestReplyReader::headers() const {
    return parser_->headers;
}

std::optional<std::uint64_t> GuestReplyReader::content_length() const {
    const auto length = parser_->content_length();
    if (!length) return std::nullopt;
    return *length;
}

bool GuestReplyReader::keeps_alive() const {
    return parser_->keep_alive();
}

}  // namespace fallow::http
