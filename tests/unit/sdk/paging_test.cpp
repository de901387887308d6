#include "fallow/paging.hpp"

#include <catch2/catch.hpp>
#include <map>

namespace fallow::sdk {
namespace {

struct Book {
    std::map<std::string, Page<int>> pages;
    std::vector<std::string> fetched;

    PagedRange<int>::Fetch fetch() {
        return [this](const PageRequest& request) {
            fetched.push_back(request.cursor);
            return pages.at(request.cursor);
        };
    }
};

std::vector<int> walk(Book& book) {
    std::vector<int> items;
    for (const int item : every<int>(book.fetch()))
        items.push_back(item);
    return items;
}

TEST_CASE("a list is walked page by page") {
    Book book{{{"", {{1, 2}, "a"}}, {"a", {{}, "b"}}, {"b", {{3}, {}}}}, {}};
    CHECK(walk(book) == std::vector{1, 2, 3});
    CHECK(book.fetched == std::vector<std::string>{"", "a", "b"});
}

TEST_CASE("an empty list has no items") {
    Book book{{{"", {{}, {}}}}, {}};
    CHECK(walk(book).empty());
}

TEST_CASE("an empty last page ends the list") {
    Book book{{{"", {{1}, "a"}}, {"a", {{}, {}}}}, {}};
    CHECK(walk(book) == std::vector{1});
}

TEST_CASE("a page is fetched only when it is needed") {
    Book book{{{"", {{1, 2}, "a"}}}, {}};
    int seen = 0;
    for_each<int>(book.fetch(), [&](int item) {
        seen = item;
        return item < 2;
    });
    CHECK(seen == 2);
    CHECK(book.fetched.size() == 1);
}

TEST_CASE("a cursor that does not move on is refused") {
    Book book{{{"", {{1}, "a"}}, {"a", {{2}, "a"}}}, {}};
    CHECK_THROWS_AS(walk(book), ProtocolError);
}

}  // namespace
}  // namespace fallow::sdk
