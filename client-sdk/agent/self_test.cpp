#include "agent/self_test.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/card_catalog.hpp"
#include "agent/card_json.hpp"
#include "agent/card_keeper.hpp"
#include "agent/card_scrubber.hpp"
#include "agent/clock.hpp"
#include "agent/owner_words.hpp"
#include "agent/scrub_plan.hpp"
#include "agent/state.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t proved_percent = 97;
constexpr std::int64_t bandwidth_percent = 70;  ///< of the data sheet, below which it is worth a look
constexpr std::int64_t link_percent = 40;
/// A lane's bytes a second by its generation, after coding (PCI-SIG); generation 1 is the first.
constexpr std::array<std::int64_t, 6> lane_bytes_per_s{250'000'000,   500'000'000,   984'600'000,
                                                       1'969'200'000, 3'938'400'000, 7'563'000'000};

std::string per_second(std::int64_t bytes) {
    return fmt::format("{:.1f} GB/s", static_cast<double>(bytes) / 1e9);
}

std::string teraflops(std::int64_t flops) {
    return fmt::format("{:.2f} TFLOPS", static_cast<double>(flops) / 1e12);
}

std::string subject_of(const CardFacts& card) {
    return fmt::format("card {} {}", card.index, card.product);
}

class CardRows {
  public:
    explicit CardRows(const CardFacts& card) : card_(card) {
        const std::int64_t proved = card.capacity ? card.capacity->vram_bytes : 0;
        model_ = find_catalog_model(card.product, proved);
    }

    std::vector<CheckRow> all() {
        add("driver",
            card_.driver_version.empty() ? card_.backend : card_.backend + " " + card_.driver_version,
            model_ == nullptr ? "" : model_->name, CheckVerdict::fine, "");
        if (card_.verification) {
            add_verification(*card_.verification);
        } else {
            add_unmeasured();
        }
        return std::move(rows_);
    }

  private:
    void add(const std::string& check, const std::string& measured, const std::string& expected,
             CheckVerdict verdict, const std::string& remedy) {
        rows_.push_back({subject_of(card_), check, measured, expected, verdict,
                         verdict == CheckVerdict::fine ? "" : remedy});
    }

    /// A rate that is worth a look when it stays below `percent` of what is expected.
    void add_rate(const std::string& check, std::int64_t measured, std::int64_t expected,
                  std::int64_t percent, const std::string& remedy) {
        const bool is_slow = measured < expected / 100 * percent;
        add(check, per_second(measured), expected == 0 ? "" : per_second(expected),
            is_slow ? CheckVerdict::note : CheckVerdict::fine, remedy);
    }

    void add_unmeasured() {
        if (!card_.claims.can_be_measured())
            return add("memory", "neither CUDA nor OpenCL has it", "", CheckVerdict::wrong,
                       "install the CUDA (NVIDIA) or OpenCL driver of the card's maker: without it nothing "
                       "is proved or rented");
        if (is_in_use(card_))
            return add("memory", format_bytes(*card_.claims.used_bytes) + " in use", "",
                       CheckVerdict::skipped,
                       "end what uses the card's memory, then run the self-test again");
        add("memory", "not measured", "", CheckVerdict::skipped, "stop the agent and run the self-test");
    }

    void add_verification(const Verification& verification) {
        const std::string when = "at " + format_rfc3339(verification.at_unix_ms);
        if (!verification.passed)
            add("verification", "refused " + when, "", CheckVerdict::wrong,
                verification.reason + ": " + verification.remedy);
        else
            add("verification", "passed " + when, "", CheckVerdict::fine, "");
        if (verification.measured) add_measured(*verification.measured);
    }

    void add_measured(const Measurement& measured) {
        add("measured through", std::string(driver_name(measured)), "", CheckVerdict::fine, "");
        const std::int64_t kept = measured.memory.kept_bytes;
        const bool is_whole =
            kept == measured.memory.written_bytes && kept >= measured.target_bytes / 100 * proved_percent;
        const bool is_gpu = card_.device_class == "gpu";
        std::string what = format_bytes(kept) + " proved";
        if (is_gpu && model_ != nullptr) what += fmt::format(" ({})", memory_class(*model_, kept));
        std::string expected =
            fmt::format("{} % of {}", proved_percent, format_bytes(measured.target_bytes));
        if (is_gpu && model_ != nullptr)
            expected += fmt::format("; {} as sold", format_bytes(model_->vram_bytes));
        add("memory", what, expected, is_whole ? CheckVerdict::fine : CheckVerdict::wrong, "as above");
        add_rate("bandwidth", measured.bandwidth_bytes_per_s,
                 model_ == nullptr ? 0 : model_->bandwidth_bytes_per_s, bandwidth_percent,
                 "look for a power or thermal limit, or other work on the card");
        add("fp32", teraflops(measured.fp32_flops), "", CheckVerdict::fine, "");
        add("fp16", measured.fp16_flops ? teraflops(*measured.fp16_flops) : "the device has none", "",
            CheckVerdict::fine, "");
        const std::string seat = "reseat the card, or put it into a slot with more lanes";
        add_rate("to the card", measured.to_device_bytes_per_s, link_bytes_per_s(), link_percent, seat);
        add_rate("from the card", measured.from_device_bytes_per_s, link_bytes_per_s(), link_percent, seat);
    }

    [[nodiscard]] std::int64_t link_bytes_per_s() const {
        const std::int64_t generation = card_.pcie_generation.value_or(0);
        if (generation < 1 || generation > static_cast<std::int64_t>(lane_bytes_per_s.size())) return 0;
        return lane_bytes_per_s[static_cast<std::size_t>(generation - 1)] * card_.pcie_width.value_or(0);
    }

    const CardFacts& card_;
    const CatalogModel* model_ = nullptr;
    std::vector<CheckRow> rows_;
};

/// Holds the state folder for as long as it measures, so that no agent starts meanwhile.
FoundCards take_cards(const SelfTestOptions& options, std::vector<CheckRow>& rows) {
    KeeperOptions keeper{
        .probe = options.probe, .file = {}, .verify_every_ms = 0, .measures = options.measures};
    std::optional<StateFolder> state;
    if (!options.state_folder.empty()) {
        keeper.file = std::filesystem::path(options.state_folder) / "cards.json";
        try {
            state.emplace(options.state_folder);
            state->lock();
            rows.push_back({"host", "agent", "does not run", "", CheckVerdict::fine, ""});
        } catch (const std::runtime_error&) {
            keeper.measures = false;
            rows.push_back(
                {"host", "agent", "runs: its last measurements are shown", "", CheckVerdict::fine, ""});
            FoundCards found = CardProbe(options.probe).find({});
            carry_over(found.cards, CardKeeper::kept(keeper.file));
            return found;
        }
    }
    return CardKeeper(keeper).take([](const CardFacts&) { return false; }, {});
}

std::map<std::string, UsedCard> used_cards_of(const std::string& state_folder) {
    const std::filesystem::path file = used_cards_file(state_folder);
    if (state_folder.empty() || !std::filesystem::exists(file)) return {};
    return parse_used_cards(read_file(file));
}

const char* name_of(CheckVerdict verdict) {
    switch (verdict) {
        case CheckVerdict::fine:
            return "ok";
        case CheckVerdict::note:
            return "note";
        case CheckVerdict::wrong:
            return "WRONG";
        case CheckVerdict::skipped:
            return "skipped";
    }
    return "";
}

using Line = std::array<std::string, 6>;

Line line_of(const CheckRow& row) {
    const auto or_dash = [](const std::string& text) { return text.empty() ? std::string("-") : text; };
    return {row.subject,          row.check, or_dash(row.measured), or_dash(row.expected),
            name_of(row.verdict), row.remedy};
}

}  // namespace

bool SelfTest::is_fine() const {
    return std::none_of(rows.begin(), rows.end(),
                        [](const CheckRow& row) { return row.verdict == CheckVerdict::wrong; });
}

std::vector<CheckRow> card_rows(const CardFacts& card) {
    return CardRows(card).all();
}

std::optional<CheckRow> scrub_row(const CardFacts& card, const std::map<std::string, UsedCard>& used) {
    const auto found = used.find(card.uuid);
    if (found == used.end() || !is_unscrubbable(found->second)) return std::nullopt;
    return CheckRow{
        subject_of(card),
        "last guest",
        memory_sentence(found->second.problem),
        "overwritten",
        CheckVerdict::wrong,
        "end what else uses the card's memory; look at dmesg for what the driver says, then reset "
        "the card or start the host anew. The agent tries again each minute"};
}

SelfTest run_self_test(const SelfTestOptions& options) {
    SelfTest test;
    test.rows = host_rows(options);
    FoundCards found = take_cards(options, test.rows);
    for (const std::string& problem : found.problems)
        test.rows.push_back(
            {"cards", "driver", problem, "", CheckVerdict::wrong,
             "look at dmesg for what the driver says; load it anew or start the host anew"});
    if (found.cards.empty())
        test.rows.push_back({"cards", "found", "none", "", CheckVerdict::wrong,
                             "install the driver of the card's maker, with NVML or OpenCL"});
    const std::map<std::string, UsedCard> used = used_cards_of(options.state_folder);
    for (const CardFacts& card : found.cards) {
        for (CheckRow& row : card_rows(card))
            test.rows.push_back(std::move(row));
        if (auto row = scrub_row(card, used)) test.rows.push_back(std::move(*row));
    }
    test.cards = std::move(found.cards);
    return test;
}

std::string format_table(const SelfTest& test) {
    std::vector<Line> lines{{"WHAT", "CHECK", "MEASURED", "EXPECTED", "VERDICT", "WHAT TO FIX"}};
    for (const CheckRow& row : test.rows)
        lines.push_back(line_of(row));
    std::array<std::size_t, 6> widths{};
    for (const Line& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i)
            widths[i] = std::max(widths[i], line[i].size());
    std::string text;
    for (const Line& line : lines) {
        std::string row;
        for (std::size_t i = 0; i < line.size(); ++i)
            row += fmt::format("{:<{}}  ", line[i], widths[i]);
        row.erase(row.find_last_not_of(' ') + 1);
        text += row + "\n";
    }
    return text;
}

std::string format_json(const SelfTest& test) {
    using nlohmann::json;
    const auto or_null = [](const std::string& text) { return text.empty() ? json(nullptr) : json(text); };
    json checks = json::array();
    for (const CheckRow& row : test.rows)
        checks.push_back({{"what", row.subject},
                          {"check", row.check},
                          {"measured", row.measured},
                          {"expected", or_null(row.expected)},
                          {"verdict", row.verdict == CheckVerdict::wrong ? "wrong" : name_of(row.verdict)},
                          {"remedy", or_null(row.remedy)}});
    return json{
        {"ok", test.is_fine()}, {"checks", checks}, {"cards", json::parse(encode_cards(test.cards))}}
        .dump(1);
}

}  // namespace fallow::agent
