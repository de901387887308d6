#include <algorithm>

#include "checks.hpp"
#include "text.hpp"

namespace fallow_proof {
namespace {

struct Position {
    std::int64_t seq = 0;
    std::int64_t epoch = 0;
    std::string chain;
};

}  // namespace

void check_journal(const Ledger& ledger, Source& source, const Report& report) {
    std::map<std::string, Position> last;
    for (const auto& [stream, anchor] : ledger.anchors)
        last[stream] = {anchor.seq, 0, anchor.chain};
    source.each_journal_row([&](const JournalRow& row) {
        const std::string name = "journal " + row.stream + "/" + std::to_string(row.seq);
        Position& before = last[row.stream];
        if (row.seq != before.seq + 1)
            report({"journal_sequence", name, std::to_string(before.seq + 1), std::to_string(row.seq)});
        if (row.epoch < before.epoch)
            report({"journal_epoch", name, std::to_string(before.epoch) + " or more",
                    std::to_string(row.epoch)});
        if (row.chain != row.computed) report({"journal_chain", name, row.computed, row.chain});
        before = {row.seq, std::max(row.epoch, before.epoch), row.chain};
    });
    for (const auto& [stream, head] : ledger.heads) {
        const std::string name = "journal " + stream;
        const Position& end = last[stream];
        if (head.seq != end.seq)
            report({"journal_head", name, std::to_string(head.seq), std::to_string(end.seq)});
        else if (head.chain != end.chain)
            report({"journal_head_chain", name, head.chain, end.chain});
    }
}

}  // namespace fallow_proof
