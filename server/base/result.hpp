// Result<T>: a value or an Error, for what a caller can cause.
#pragma once

#include <utility>
#include <variant>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace fallow {

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const { return content_.index() == 0; }
    explicit operator bool() const { return ok(); }

    [[nodiscard]] const T& value() const& {
        FALLOW_ASSERT(ok());
        return std::get<0>(content_);
    }
    [[nodiscard]] T& value() & {
        FALLOW_ASSERT(ok());
        return std::get<0>(content_);
    }
    [[nodiscard]] T&& value() && {
        FALLOW_ASSERT(ok());
        return std::get<0>(std::move(content_));
    }
    [[nodiscard]] const T& operator*() const& { return value(); }
    [[nodiscard]] T& operator*() & { return value(); }
    [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
    [[nodiscard]] const T* operator->() const { return &value(); }
    [[nodiscard]] T* operator->() { return &value(); }

    [[nodiscard]] const Error& error() const {
        FALLOW_ASSERT(!ok());
        return std::get<1>(content_);
    }

  private:
    std::variant<T, Error> content_;
};

/// A refusal or nothing, for a check that yields no value.
struct Done {
    friend bool operator==(const Done&, const Done&) = default;
};
using Status = Result<Done>;

[[nodiscard]] inline Error refuse(ErrorCode code, std::string detail, std::string pointer = {}) {
    return Error{code, std::move(detail), std::move(pointer)};
}

}  // namespace fallow
