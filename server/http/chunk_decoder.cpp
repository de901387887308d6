#include "http/chunk_decoder.hpp"

#include <algorithm>

#include "http/characters.hpp"

namespace fallow::http {
namespace {

constexpr int size_digits_max = 8;

Error refuse_chunk(std::string detail) {
    return refuse(ErrorCode::bad_request, std::move(detail));
}

}  // namespace

Result<std::size_t> ChunkDecoder::feed(std::string_view bytes, std::string& body) {
    std::size_t used = 0;
    while (used < bytes.size() && state_ != State::complete) {
        if (state_ == State::data) {
            const std::string_view data = bytes.substr(used, chunk_bytes_left_);
            body += data;
            used += data.size();
            chunk_bytes_left_ -= data.size();
            if (chunk_bytes_left_ == 0) state_ = State::data_return;
            continue;
        }
        const Status stepped = step(bytes[used], body);
        if (!stepped) return stepped.error();
        ++used;
    }
    return used;
}

Status ChunkDecoder::step(char c, const std::string& body) {
    switch (state_) {
        case State::size:
            return take_size(c, body);
        case State::size_end:
            if (c != '\n') return refuse_chunk("A chunk size does not end in CRLF.");
            state_ = chunk_bytes_left_ == 0 ? State::last_return : State::data;
            return Done{};
        case State::data_return:
            if (c != '\r') return refuse_chunk("A chunk is longer than its size.");
            state_ = State::data_end;
            return Done{};
        case State::data_end:
            if (c != '\n') return refuse_chunk("A chunk does not end in CRLF.");
            state_ = State::size;
            digits_ = 0;
            return Done{};
        case State::last_return:
            if (c != '\r') return refuse_chunk("Trailers are not taken.");
            state_ = State::last_end;
            return Done{};
        case State::last_end:
            if (c != '\n') return refuse_chunk("The last chunk does not end in CRLF.");
            state_ = State::complete;
            return Done{};
        case State::data:
        case State::complete:
            break;
    }
    return Done{};
}

Status ChunkDecoder::take_size(char c, const std::string& body) {
    const int digit = hex_value(c);
    if (digit >= 0) {
        if (digits_ == 0) chunk_bytes_left_ = 0;
        if (++digits_ > size_digits_max) return refuse_chunk("A chunk size has more than eight digits.");
        chunk_bytes_left_ = chunk_bytes_left_ * 16 + static_cast<std::size_t>(digit);
        return Done{};
    }
    if (c == ';') return refuse_chunk("Chunk extensions are not taken.");
    if (c != '\r' || digits_ == 0) return refuse_chunk("A chunk size is not a hexadecimal number.");
    if (chunk_bytes_left_ > body_bytes_max_ - std::min(body.size(), body_bytes_max_))
        return refuse(ErrorCode::body_too_large, "The chunks add up to more than this route takes.");
    state_ = State::size_end;
    return Done{};
}

}  // namespace fallow::http
