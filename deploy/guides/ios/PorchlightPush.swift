// Opens pushes of profile "porchlight" (shared/push/README.md). Pure: bytes in, values out, nothing kept.
// Not compiled or run on the machines that test this project; test it with test/vectors-own/porchlight-push.json.
import CryptoKit
import Foundation
import Sodium

/// The two keys of a registration, from the secret that phone and subscriber share.
struct PorchlightKeys {
    let message: Bytes
    let verification: Bytes

    /// - Parameter secret: X25519(phone, subscriber), 32 bytes.
    init(secret: Data) {
        message = Self.derive(secret, "porchlight message v1")
        verification = Self.derive(secret, "porchlight verification v1")
    }

    private static func derive(_ secret: Data, _ info: String) -> Bytes {
        let key = HKDF<SHA512>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), info: Data(info.utf8), outputByteCount: 32)
        return key.withUnsafeBytes { Bytes($0) }
    }
}

struct PorchlightEntry {
    /// As SNEW was answered, 24 bytes.
    let subscriptionId: Data
    /// Of the first push that had this signal.
    let sequence: UInt32
    /// 0 message, 1 update.
    let kind: UInt8
    let receivedAt: UInt64
    /// The messaging server's nonce and encrypted metadata; nil where the push had no room for them.
    let metadata: (nonce: Data, box: Data)?
}

struct PorchlightMessage {
    let overflow: Bool
    let maybeMissed: Bool
    let check: Bool
    let epoch: UInt16
    let sequence: UInt32
    let sentAt: UInt32
    let entries: [PorchlightEntry]

    /// Whether every queue should be looked into.
    var everywhere: Bool { overflow || maybeMissed || check }
}

enum PorchlightPush {
    private static let payloadSize = 2912
    private static let headerSize = 16
    private static let entrySize = 205
    private static let maxEntries = 14

    /// The message in a notification's `userInfo`; nil where there is none, or it was not made for these keys.
    static func message(in userInfo: [AnyHashable: Any], keys: PorchlightKeys) -> PorchlightMessage? {
        guard let data = userInfo["porchlight"] as? [String: Any],
            let nonce = bytes(data["nonce"], count: 24),
            let box = bytes(data["message"], count: payloadSize + 16),
            let plain = Sodium().secretBox.open(
                authenticatedCipherText: box, secretKey: keys.message, nonce: nonce)
        else { return nil }
        return decode(plain)
    }

    /// The layout of a message; nil where a byte is not as laid down.
    static func decode(_ plain: Bytes) -> PorchlightMessage? {
        guard plain.count == payloadSize, plain[0] == 1, plain[1] & 0b1111_1000 == 0,
            plain[2] <= maxEntries, plain[3] == 0, plain[14] == 0, plain[15] == 0
        else { return nil }
        let count = Int(plain[2])
        let used = headerSize + count * entrySize
        guard plain[used...].allSatisfy({ $0 == 0 }) else { return nil }
        var entries: [PorchlightEntry] = []
        for index in 0..<count {
            let start = headerSize + index * entrySize
            guard let entry = entry(plain[start..<start + entrySize]) else { return nil }
            entries.append(entry)
        }
        return PorchlightMessage(
            overflow: plain[1] & 1 != 0, maybeMissed: plain[1] & 2 != 0, check: plain[1] & 4 != 0,
            epoch: UInt16(number(plain[4..<6])), sequence: UInt32(number(plain[6..<10])),
            sentAt: UInt32(number(plain[10..<14])), entries: entries)
    }

    private static func entry(_ slice: ArraySlice<UInt8>) -> PorchlightEntry? {
        let at = slice.startIndex
        let kind = slice[at + 28]
        let bare = kind & 0x80 != 0
        guard kind & 0x7f <= 1 else { return nil }
        if bare, !slice[(at + 37)...].allSatisfy({ $0 == 0 }) { return nil }
        return PorchlightEntry(
            subscriptionId: Data(slice[at..<at + 24]),
            sequence: UInt32(number(slice[at + 24..<at + 28])),
            kind: kind & 0x7f,
            receivedAt: number(slice[at + 29..<at + 37]),
            metadata: bare ? nil : (Data(slice[at + 37..<at + 61]), Data(slice[at + 61..<at + 205])))
    }

    /// Big-endian.
    private static func number(_ slice: ArraySlice<UInt8>) -> UInt64 {
        slice.reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func bytes(_ value: Any?, count: Int) -> Bytes? {
        guard let text = value as? String else { return nil }
        let plain = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        guard let data = Data(base64Encoded: plain), data.count == count else { return nil }
        return Bytes(data)
    }
}

/// Which pushes and entries are news. Keep one in the App Group; app and extension must not write it at once.
struct PorchlightProgress: Codable {
    private var epoch: UInt16?
    private var sequence: UInt32 = 0
    private var sentAt: UInt32 = 0
    /// Newest known of each subscription, as "epoch.sequence".
    private var known: [String: String] = [:]

    /// Takes a message in; nil where it is old or repeated, else the entries that are news.
    mutating func news(of message: PorchlightMessage) -> [PorchlightEntry]? {
        if let epoch {
            if epoch == message.epoch {
                let ahead = Int32(bitPattern: message.sequence &- sequence)
                guard ahead > 0 else { return nil }
            } else if message.sentAt < sentAt {
                return nil
            }
        }
        (epoch, sequence, sentAt) = (message.epoch, message.sequence, message.sentAt)
        return message.entries.filter { entry in
            let name = entry.subscriptionId.base64EncodedString()
            let mark = "\(message.epoch).\(entry.sequence)"
            defer { known[name] = mark }
            return known[name] != mark
        }
    }
}
