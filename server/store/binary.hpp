// Values, and arrays of one dimension, in PostgreSQL's binary format for parameters: what array_recv,
// int8recv, numeric_recv and the other *_recv functions of the server read. All numbers are big-endian.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "store/parameters.hpp"

namespace fallow::store {

/// Parameters $1… of one statement, none of them NULL; their types are those the statement casts them to.
struct BinaryParameters {
    std::vector<std::string> values;

    friend bool operator==(const BinaryParameters&, const BinaryParameters&) = default;
};

template <class Integer>
void append_big_endian(std::string& out, Integer value) {
    auto rest = static_cast<std::make_unsigned_t<Integer>>(value);
    char octets[sizeof(Integer)];
    for (std::size_t i = sizeof(Integer); i-- > 0;) {
        octets[i] = static_cast<char>(rest & 0xff);
        if constexpr (sizeof(Integer) > 1) rest = static_cast<decltype(rest)>(rest >> 8);
    }
    out.append(octets, sizeof octets);
}

// append_binary: one value that is not NULL, without its length.
inline void append_binary(std::string& out, bool value) {
    out.push_back(value ? '\1' : '\0');
}
inline void append_binary(std::string& out, std::int32_t value) {
    append_big_endian(out, value);
}
inline void append_binary(std::string& out, std::int64_t value) {
    append_big_endian(out, value);
}
inline void append_binary(std::string& out, Time value) {
    append_big_endian(out, value.ms);
}
inline void append_binary(std::string& out, Millis value) {
    append_big_endian(out, value.count);
}
inline void append_binary(std::string& out, ledger::Micros value) {
    append_big_endian(out, value.count);
}
inline void append_binary(std::string& out, ledger::Price value) {
    append_big_endian(out, value.micros_per_hour);
}
inline void append_binary(std::string& out, const std::string& value) {
    out.append(value);
}
inline void append_binary(std::string& out, const Bytes& value) {
    out.append(value.octets);
}
void append_binary(std::string& out, Int128 value);
template <NamedEnum E>
void append_binary(std::string& out, E value) {
    out.append(name_of(value));
}
template <class Tag>
void append_binary(std::string& out, const Id<Tag>& value) {
    append_big_endian(out, value.raw.high);
    append_big_endian(out, value.raw.low);
}
/// A list is an element of type text: PostgreSQL has no arrays of arrays of different lengths.
template <class T>
void append_binary(std::string& out, const std::vector<T>& values) {
    append_value(out, values);
}

template <class T>
[[nodiscard]] std::string binary_of(const T& value) {
    std::string octets;
    append_binary(octets, value);
    return octets;
}

/// Grows an array of one dimension element by element.
class BinaryArray {
  public:
    /// `type` is the element type's OID in pg_type; `octets` is what the array may need.
    BinaryArray(std::int32_t type, std::size_t octets) : type_(type) {
        octets_.reserve(header_size + octets);
        octets_.resize(header_size);
    }

    template <class T>
    void add(const T& value) {
        ++count_;
        const std::size_t start = octets_.size();
        octets_.append(sizeof(std::int32_t), '\0');
        append_binary(octets_, value);
        put(start, static_cast<std::int32_t>(octets_.size() - start - sizeof(std::int32_t)));
    }
    template <class T>
    void add(const std::optional<T>& value) {
        if (value) return add(*value);
        ++count_;
        has_null_ = true;
        append_big_endian(octets_, std::int32_t{-1});
    }

    /// The finished array; the object is spent.
    [[nodiscard]] std::string take() {
        const std::int32_t first_index = 1;
        std::size_t at = 0;
        for (const std::int32_t word :
             {count_ > 0 ? 1 : 0, has_null_ ? 1 : 0, type_, count_, first_index}) {
            put(at, word);
            at += sizeof word;
        }
        // An array without dimensions ends after its type.
        if (count_ == 0) octets_.resize(3 * sizeof(std::int32_t));
        return std::move(octets_);
    }

  private:
    static constexpr std::size_t header_size = 5 * sizeof(std::int32_t);

    void put(std::size_t at, std::int32_t word) {
        for (int shift = 24; shift >= 0; shift -= 8)
            octets_[at++] = static_cast<char>((static_cast<std::uint32_t>(word) >> shift) & 0xff);
    }

    std::int32_t type_;
    std::int32_t count_ = 0;
    bool has_null_ = false;
    std::string octets_;
};

}  // namespace fallow::store
