// Files with secrets and documents in them.
#pragma once

#include <string>

namespace fallow::cli {

/// The whole file, "-" for stdin, at most 16 MiB. Throws std::system_error.
[[nodiscard]] std::string read_text(const std::string& path);

/// The one word in a file: a key, a token. Warns when others may read the file. Throws UsageError for
/// anything else.
[[nodiscard]] std::string read_secret(const std::string& path);
/// As read_secret, without the warning.
[[nodiscard]] std::string read_word(const std::string& path);

/// Writes the secret and a line end to the file, readable by its owner alone, whole or not at all.
void write_secret(const std::string& path, const std::string& secret);

}  // namespace fallow::cli
