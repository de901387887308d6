// Which of the leases' progress the server is told, and what goes on after a connection broke.
#include "agent/transfer_progress.hpp"

#include <catch2/catch.hpp>

#include "agent/transfer.hpp"

using namespace fallow;
using namespace fallow::agent;

namespace {

TransferProgress fetching(std::int64_t done) {
    return {TransferStep::fetching_inputs, done, 10};
}

void tell_all(ProgressBook& book) {
    for (const ProgressBook::Entry& entry : book.untold())
        book.told(entry);
}

}  // namespace

TEST_CASE("a step is added up") {
    std::vector<TransferProgress> noted;
    TransferCount count(TransferStep::fetching_inputs, 10,
                        [&](const TransferProgress& progress) { noted.push_back(progress); });
    count.add(4);
    count.add(6);
    CHECK(noted == std::vector{fetching(4), fetching(10)});
    TransferCount unheard(TransferStep::fetching_inputs, 10, {});
    unheard.add(1);
}

TEST_CASE("of each lease the newest is told, once") {
    ProgressBook book;
    CHECK(book.untold().empty());
    book.note("lease_b", fetching(1));
    book.note("lease_a", fetching(2));
    book.note("lease_b", fetching(3));
    CHECK(book.untold() ==
          std::vector<ProgressBook::Entry>{{"lease_a", fetching(2)}, {"lease_b", fetching(3)}});
    tell_all(book);
    CHECK(book.untold().empty());
    book.note("lease_a", fetching(2));
    CHECK(book.untold().empty());
    book.note("lease_a", fetching(4));
    CHECK(book.untold().size() == 1);
}

TEST_CASE("what was not heard stays to be told, and so does what came while it was told") {
    ProgressBook book;
    book.note("lease_a", fetching(1));
    const auto sent = book.untold();
    CHECK(book.untold() == sent);
    book.note("lease_a", fetching(2));
    book.told(sent[0]);
    CHECK(book.untold() == std::vector<ProgressBook::Entry>{{"lease_a", fetching(2)}});
}

TEST_CASE("a step that was over before anybody heard of it is not told") {
    ProgressBook book;
    book.note("lease_a", fetching(10));
    book.end("lease_a");
    CHECK(book.untold().empty());
    book.end("lease_nobody_knows");
}

TEST_CASE("a step that was heard of is told to its end") {
    ProgressBook book;
    book.note("lease_a", fetching(1));
    tell_all(book);
    book.note("lease_a", fetching(10));
    book.end("lease_a");
    CHECK(book.untold() == std::vector<ProgressBook::Entry>{{"lease_a", fetching(10)}});
    tell_all(book);
    book.note("lease_a", {TransferStep::uploading_outputs, 1, 2});
    book.end("lease_a");
    CHECK(book.untold().empty());
}

TEST_CASE("a step that ends while it is being told is told to its end") {
    ProgressBook book;
    book.note("lease_a", fetching(1));
    const auto sent = book.untold();
    book.note("lease_a", fetching(10));
    book.end("lease_a");
    book.told(sent[0]);
    CHECK(book.untold() == std::vector<ProgressBook::Entry>{{"lease_a", fetching(10)}});
    tell_all(book);
    CHECK(book.untold().empty());
}

TEST_CASE("of a lease that is over nothing is told") {
    ProgressBook book;
    book.note("lease_a", fetching(1));
    const auto sent = book.untold();
    book.forget("lease_a");
    book.told(sent[0]);
    CHECK(book.untold().empty());
}

TEST_CASE("a piece whose connection broke is asked for again") {
    int tries = 0;
    const auto fetch = [&]() -> std::string {
        if (++tries == 1) throw sdk::TransportError(sdk::TransportErrorKind::other, "broken");
        if (tries == 2) throw ServerError(503, "draining", "later");
        return "piece";
    };
    CHECK(go_on_when_broken(fetch, {}) == "piece");
    CHECK(tries == 3);
}

TEST_CASE("a refusal is not asked for again, and nothing after a stop") {
    int tries = 0;
    const auto refused = [&]() -> std::string {
        ++tries;
        throw ServerError(404, "not_found", "no such part");
    };
    CHECK_THROWS_AS(go_on_when_broken(refused, {}), ServerError);
    CHECK(tries == 1);
    std::stop_source stop;
    const auto broken = [&]() -> std::string {
        ++tries;
        stop.request_stop();
        throw sdk::TransportError(sdk::TransportErrorKind::other, "broken");
    };
    CHECK_THROWS_AS(go_on_when_broken(broken, stop.get_token()), sdk::TransportError);
    CHECK(tries == 2);
}
