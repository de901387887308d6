#include "api/checkpoint_json.hpp"

namespace fallow::api {
namespace {

void write_facts(JsonWriter& json, const accounts::Checkpoint& checkpoint) {
    json.field("number", checkpoint.number)
        .field("attempt", checkpoint.attempt)
        .field("lease_id", checkpoint.lease)
        .field("lease_epoch", checkpoint.lease_epoch)
        .field("bytes", checkpoint.bytes)
        .field("entry_count", checkpoint.entries)
        .field("created_at", checkpoint.created_at);
}

}  // namespace

std::string entries_json(const std::vector<accounts::CheckpointEntry>& entries) {
    JsonWriter json;
    json.begin_array();
    for (const accounts::CheckpointEntry& entry : entries) {
        json.begin_object().field("path", entry.path).field("kind", entry.kind);
        if (entry.kind == accounts::EntryKind::link) {
            json.field("target", entry.target);
        } else {
            json.field("mode", entry.mode);
        }
        if (entry.kind == accounts::EntryKind::file)
            json.field("bytes", entry.bytes)
                .field("modified_at", entry.modified_at)
                .field("chunks", entry.chunks);
        json.end_object();
    }
    json.end_array();
    return json.take();
}

void write(JsonWriter& json, const accounts::Checkpoint& checkpoint) {
    json.begin_object();
    write_facts(json, checkpoint);
    json.end_object();
}

void write(JsonWriter& json, const accounts::CheckpointWithEntries& checkpoint) {
    json.begin_object();
    write_facts(json, checkpoint.checkpoint);
    json.key("entries").raw(checkpoint.document).end_object();
}

}  // namespace fallow::api
