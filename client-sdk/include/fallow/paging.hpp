// Lists of the API come in pages with an opaque cursor; a range hides that.
//
//     for (const Lease& lease : every<Lease>([&](const PageRequest& page) { return client.leases(page); }))
//     …
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fallow/errors.hpp"

namespace fallow::sdk {

struct PageRequest {
    int limit = 100;     ///< 1 to 100
    std::string cursor;  ///< empty: from the start
};

template <class T>
struct Page {
    std::vector<T> items;
    std::optional<std::string> next_cursor;  ///< nothing on the last page
};

/// All items of a list, fetched page by page while one iterates. To be walked once; what `fetch` throws
/// comes out of begin() and of the increment.
template <class T>
class PagedRange {
  public:
    using Fetch = std::function<Page<T>(const PageRequest&)>;

    explicit PagedRange(Fetch fetch, PageRequest first = {})
        : fetch_(std::move(fetch)), next_(std::move(first)) {}

    class Iterator {
      public:
        using iterator_category = std::input_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = const T*;
        using reference = const T&;

        Iterator() = default;
        explicit Iterator(PagedRange* range) : range_(range) {}
        const T& operator*() const { return range_->page_.items[range_->position_]; }
        const T* operator->() const { return &**this; }
        Iterator& operator++() {
            ++range_->position_;
            settle();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& a, const Iterator& b) { return a.range_ == b.range_; }

      private:
        friend class PagedRange;
        void settle() {
            if (!range_->settle()) range_ = nullptr;
        }
        PagedRange* range_ = nullptr;
    };

    [[nodiscard]] Iterator begin() {
        Iterator first(this);
        first.settle();
        return first;
    }
    [[nodiscard]] Iterator end() { return Iterator(); }

  private:
    /// Moves on to a page that has an item at the position; false at the end of the list.
    bool settle() {
        while (position_ >= page_.items.size()) {
            if (ended_) return false;
            page_ = fetch_(next_);
            position_ = 0;
            ended_ = !page_.next_cursor;
            if (ended_) continue;
            if (*page_.next_cursor == next_.cursor)
                throw ProtocolError("the list's cursor does not move on");
            next_.cursor = *page_.next_cursor;
        }
        return true;
    }

    Fetch fetch_;
    PageRequest next_;
    Page<T> page_;
    std::size_t position_ = 0;
    bool ended_ = false;
};

template <class T>
[[nodiscard]] PagedRange<T> every(typename PagedRange<T>::Fetch fetch, PageRequest first = {}) {
    return PagedRange<T>(std::move(fetch), std::move(first));
}

/// Calls `act` with every item until it returns false.
template <class T, class Act>
void for_each(typename PagedRange<T>::Fetch fetch, const Act& act) {
    for (const T& item : every<T>(std::move(fetch)))
        if (!act(item)) return;
}

}  // namespace fallow::sdk
