// Receipts signed with keys made on the spot, genuine and forged.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace fallow::sdk::testing {

/// An Ed25519 key pair.
class SigningKey {
  public:
    SigningKey();
    ~SigningKey();
    SigningKey(const SigningKey&) = delete;
    SigningKey& operator=(const SigningKey&) = delete;

    [[nodiscard]] std::string public_base64() const;
    [[nodiscard]] std::string sign_base64(std::string_view text) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The texts of a receipt before they are signed. Two cards for 1 h 0 min 0.001 s at 2.50 an hour, then
/// half an hour at 1.25, and some: 6.250002 when rounded down.
struct ReceiptTexts {
    explicit ReceiptTexts(const std::string& server_key, const std::string& host_key);

    std::string usage;
    std::string certificate;
    std::string head;  ///< the receipt up to the usage's digest
    std::string signers = "server+host";

    [[nodiscard]] std::string receipt() const;
};

/// The document as the server gives it out, signed by these keys.
[[nodiscard]] std::string receipt_json(const ReceiptTexts& texts, const SigningKey& server,
                                       const SigningKey& host);
/// The same for a host that was lost: the server alone signs, and there is no usage.
[[nodiscard]] std::string server_receipt_json(const ReceiptTexts& texts, const SigningKey& server);

/// `text` with its one occurrence of `from` replaced; fails the test when there is not exactly one.
[[nodiscard]] std::string replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace fallow::sdk::testing
