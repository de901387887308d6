#include "agent/owner_words.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

using namespace fallow::agent;

namespace {

CardStatus a_card(std::int64_t index, const std::string& uuid) {
    CardStatus card;
    card.index = index;
    card.uuid = uuid;
    card.product = "H100";
    card.backend = "nvml";
    return card;
}

LeaseOnCard a_lease() {
    return {.lease_id = "lease_1",
            .runs = true,
            .running_ms = 3'723'000,
            .notice_ms = 60'000,
            .price_micros_per_hour = 2'500'000,
            .thousandths = 2000,
            .paid_ahead_ms = 1'800'000,
            .term_left_ms = 36'000'000,
            .ends_in_ms = std::nullopt};
}

std::string refusal_of(const std::string& words, const std::vector<CardStatus>& cards) {
    try {
        return card_meant(cards, words).uuid;
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("questions and answers come back as they were sent") {
    for (const OwnerQuestion& question :
         {OwnerQuestion{}, OwnerQuestion{OwnerQuestion::Kind::take, "GPU-1", true, false},
          OwnerQuestion{OwnerQuestion::Kind::take, "0", false, true},
          OwnerQuestion{OwnerQuestion::Kind::release, "1", false, false}})
        CHECK(parse_question(encode_question(question)) == question);
    CardStatus card = a_card(3, "GPU-3");
    card.is_held = card.until_released = card.is_free = true;
    card.is_offered = false;
    card.reason = "a reason";
    card.unscrubbed = "the driver hangs";
    LeaseOnCard stopped = a_lease();
    stopped.ends_in_ms = 5;
    stopped.paid_ahead_ms.reset();
    stopped.container_id = "abc";
    card.leases = {a_lease(), stopped};
    CHECK(parse_answer(encode_answer({card, a_card(1, "GPU-1")})) ==
          std::vector<CardStatus>{card, a_card(1, "GPU-1")});
    CHECK_THROWS_WITH(parse_answer(encode_refusal("not \xff today")), Catch::Contains("not"));
    CHECK_THROWS_AS(parse_question("{}"), std::runtime_error);
    CHECK_THROWS_AS(parse_question(R"({"ask": "everything", "card": "1"})"), std::runtime_error);
    CHECK_THROWS_AS(parse_answer("[]"), std::runtime_error);
}

TEST_CASE("a card is meant by index, uuid, or the beginning of it") {
    const std::vector<CardStatus> cards = {a_card(0, "GPU-aa"), a_card(1, "GPU-ab"), a_card(2, "1")};
    CHECK(refusal_of("0", cards) == "GPU-aa");
    CHECK(refusal_of("GPU-ab", cards) == "GPU-ab");
    CHECK(refusal_of("1", cards) == "1");
    CHECK(refusal_of("GPU-aa", cards) == "GPU-aa");
    CHECK_THAT(refusal_of("GPU-", cards), Catch::Contains("several cards"));
    CHECK_THAT(refusal_of("9", cards), Catch::Contains("has no card 9"));
    CHECK_THAT(refusal_of("", cards), Catch::Contains("has no card"));
}

TEST_CASE("the owner reads what taking a card costs") {
    CardStatus card = a_card(0, "GPU-1");
    CHECK(cost_of_taking(card, false).empty());
    card.leases = {a_lease()};
    const std::string told = cost_of_taking(card, false);
    CHECK_THAT(told, Catch::Contains("lease_1 has run for 1 h 02 min"));
    CHECK_THAT(told, Catch::Contains("has 1 min 00 s to save the work"));
    // Two cards at 2.50 an hour: half an hour of it is held, ten hours are left.
    CHECK_THAT(told, Catch::Contains("2.50 of what is held goes back"));
    CHECK_THAT(told, Catch::Contains("up to 50.00, for the 10 h 00 min"));
    CHECK_THAT(told, Catch::Contains("reliability 2 h 30 min count as failed"));
    CHECK_THAT(told, Catch::Contains("reclaimed_by_owner"));
    CHECK_THAT(cost_of_taking(card, true),
               Catch::Contains("was promised 1 min 00 s of notice and gets none"));
    card.leases[0].term_left_ms = 200 * 3'600'000;
    CHECK_THAT(cost_of_taking(card, false), Catch::Contains("reliability 6 h 00 min count as failed"));
    card.leases[0].runs = false;
    CHECK_THAT(cost_of_taking(card, false), Catch::Contains("lease_1 has not started"));
    CHECK_THAT(cost_of_taking(card, false), Catch::Contains("of 24 h 00 min at most"));
}

TEST_CASE("the status says who has a card") {
    CardStatus offered = a_card(0, "GPU-0");
    CardStatus held = a_card(1, "GPU-1");
    held.is_held = held.until_released = true;
    LeaseOnCard ending = a_lease();
    ending.ends_in_ms = 59'000;
    held.leases = {ending};
    CardStatus kept = a_card(2, "GPU-2");
    kept.is_offered = false;
    kept.reason = "blender runs";
    CHECK(describe({offered, held, kept}) ==
          "Card 0, H100 (GPU-0): offered\n"
          "Card 1, H100 (GPU-1): yours until you release it; not free yet\n"
          "  lease_1: has run for 1 h 02 min, ends within 59 s\n"
          "Card 2, H100 (GPU-2): kept back, blender runs\n");
    CHECK_THAT(describe({}), Catch::Contains("no card"));
}

TEST_CASE("the status says what runs on a card, and for which lease") {
    CardStatus card = a_card(0, "GPU-0");
    LeaseOnCard lease = a_lease();
    lease.container_id = "abc";
    card.leases = {lease};
    const ProcessesOnCards processes = {
        {"GPU-0",
         {{.pid = 7, .used_bytes = 4LL << 30, .program = "python3", .container = "abc"},
          {.pid = 8, .computes = false, .program = "Xorg"},
          {.pid = 9, .used_bytes = 1LL << 30}}},
        {"GPU-1", {{.pid = 10, .program = "another"}}}};
    CHECK(describe({card}, processes) ==
          "Card 0, H100 (GPU-0): offered\n"
          "  lease_1: has run for 1 h 02 min\n"
          "  process 7 (python3) of lease_1: 4.0 GiB\n"
          "  process 8 (Xorg): memory not known, draws only\n"
          "  process 9 (has ended): 1.0 GiB\n");
}

TEST_CASE("an owner is told of what a guest left in the card's memory") {
    CardStatus card = a_card(0, "GPU-1");
    card.is_held = card.until_released = true;
    card.is_offered = false;
    card.unscrubbed = "";
    CHECK_THAT(describe({card}), Catch::EndsWith("yours until you release it; not free yet\n"));
    card.is_free = true;
    CHECK_THAT(describe({card}),
               Catch::EndsWith("yours until you release it; what a guest left in its memory is not "
                               "overwritten\n"));
    card.unscrubbed = "the driver hangs";
    CHECK_THAT(describe({card}), Catch::EndsWith("is not overwritten: the driver hangs\n"));
}
