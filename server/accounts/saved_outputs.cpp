#include "accounts/saved_outputs.hpp"

#include <algorithm>
#include <set>

#include "accounts/artifacts.hpp"

namespace fallow::accounts {
namespace {

Error bad(std::size_t index, const std::string& field, std::string detail) {
    return refuse(ErrorCode::invalid_field, std::move(detail),
                  "/files/" + std::to_string(index) + "/" + field);
}

Status check_file(const OutputFile& file, std::size_t index) {
    if (const Status good = check_artifact_bytes(file.bytes); !good)
        return bad(index, "bytes", good.error().detail);
    if (const Status good = check_sha256(file.sha256); !good)
        return bad(index, "sha256", good.error().detail);
    if (std::ssize(file.chunks) != part_count(file.bytes))
        return bad(index, "chunks", "A file has one chunk for each 1 MiB, and one for what is left.");
    for (std::size_t i = 0; i < file.chunks.size(); ++i)
        if (const Status good = check_sha256(file.chunks[i]); !good)
            return bad(index, "chunks/" + std::to_string(i), good.error().detail);
    return Done{};
}

}  // namespace

Status check_output_files(const std::vector<OutputFile>& files, const std::vector<std::string>& declared) {
    std::set<std::string> paths;
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (std::ranges::find(declared, files[i].path) == declared.end())
            return bad(i, "path", "The job declares no output of this path.");
        if (!paths.insert(files[i].path).second) return bad(i, "path", "Name each output once.");
        if (const Status good = check_file(files[i], i); !good) return good;
    }
    return Done{};
}

std::int64_t bytes_of(const std::vector<OutputFile>& files) {
    std::int64_t bytes = 0;
    for (const OutputFile& file : files)
        bytes += file.bytes;
    return bytes;
}

std::vector<std::string> chunks_of(const std::vector<OutputFile>& files) {
    std::set<std::string> chunks;
    for (const OutputFile& file : files)
        chunks.insert(file.chunks.begin(), file.chunks.end());
    return {chunks.begin(), chunks.end()};
}

}  // namespace fallow::accounts
