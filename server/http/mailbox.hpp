// Hands one value from any thread to the coroutine of a session that may be gone by then.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace fallow::http {

/// The first put() counts; later ones, and those after close(), do nothing. `wake` is called under the
/// mailbox's lock, so that whoever calls close() knows that it runs neither then nor later: the waker may
/// hold a plain pointer to what close() is about to destroy.
template <class T>
class Mailbox {
  public:
    explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

    void put(T item) {
        const std::lock_guard lock(mutex_);
        if (is_closed_ || item_) return;
        item_.emplace(std::move(item));
        wake_();
    }

    [[nodiscard]] bool has_item() const {
        const std::lock_guard lock(mutex_);
        return item_.has_value();
    }

    /// Closes the mailbox and yields what it held.
    [[nodiscard]] std::optional<T> close() {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
        return std::exchange(item_, std::nullopt);
    }

  private:
    mutable std::mutex mutex_;
    std::function<void()> wake_;
    std::optional<T> item_;
    bool is_closed_ = false;
};

/// The sender's end. When the last copy of a callback is dropped uncalled, the receiver gets `if_dropped`
/// instead of waiting for ever.
template <class T>
class Promise {
  public:
    Promise(std::shared_ptr<Mailbox<T>> mailbox, T if_dropped)
        : mailbox_(std::move(mailbox)), if_dropped_(std::move(if_dropped)) {}
    ~Promise() { mailbox_->put(std::move(if_dropped_)); }
    Promise(const Promise&) = delete;
    Promise& operator=(const Promise&) = delete;

    void keep(T item) { mailbox_->put(std::move(item)); }

  private:
    std::shared_ptr<Mailbox<T>> mailbox_;
    T if_dropped_;
};

}  // namespace fallow::http
