#include "api/checkpoint_decode.hpp"

#include <fmt/format.h>

#include <set>

#include "accounts/artifacts.hpp"
#include "api/field_decode.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr TextRule sha256_rule{.bytes_max = 64};

std::int64_t read_epoch(FieldReader& reader) {
    return reader.integer("lease_epoch", 1, INT64_MAX);
}

ChunkQuestion read_question(FieldReader& reader) {
    ChunkQuestion question{read_epoch(reader),
                           reader.texts("chunks", accounts::checkpoint_chunks_max, sha256_rule)};
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < question.chunks.size(); ++i) {
        const std::string name = fmt::format("chunks/{}", i);
        if (const Status good = accounts::check_sha256(question.chunks[i]); !good)
            reader.fail(good.error().code, name, good.error().detail);
        if (!seen.insert(question.chunks[i]).second)
            reader.fail(ErrorCode::invalid_field, name, "Name each chunk once.");
    }
    return question;
}

accounts::CheckpointEntry read_entry(FieldReader& item) {
    accounts::CheckpointEntry entry;
    entry.path = item.text("path", {.bytes_max = limits::text_field_bytes_max});
    entry.kind = item.named<accounts::EntryKind>("kind");
    entry.mode = item.integer32_or("mode", 0, 0, 0777);
    entry.bytes = item.integer_or("bytes", 0, 0, accounts::checkpoint_bytes_max);
    entry.modified_at = item.optional_time("modified_at").value_or(Time{});
    entry.target = item.optional_text("target", {.bytes_max = limits::text_field_bytes_max}).value_or("");
    entry.chunks = item.texts("chunks", accounts::checkpoint_chunks_max, sha256_rule);
    return entry;
}

NewCheckpoint read_new_checkpoint(FieldReader& reader) {
    NewCheckpoint checkpoint;
    checkpoint.lease_epoch = read_epoch(reader);
    for (FieldReader& item : reader.objects("entries", accounts::checkpoint_entries_max)) {
        checkpoint.entries.push_back(read_entry(item));
        if (!item.finish()) break;
    }
    return checkpoint;
}

}  // namespace

Result<ChunkQuestion> decode_chunk_question(std::string_view body) {
    return decode_body(body, read_question);
}

Result<NewCheckpoint> decode_checkpoint(std::string_view body) {
    return decode_body(body, read_new_checkpoint);
}

Result<SaveProblem> decode_save_problem(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        return SaveProblem{read_epoch(reader),
                           reader.text("problem", {.bytes_max = accounts::checkpoint_problem_bytes_max})};
    });
}

}  // namespace fallow::api
