// A notification service extension for an app on profile "porchlight".
// Not compiled or run on the machines that test this project.
import Foundation
import UserNotifications

/// What your app provides.
protocol Inbox {
    /// The secret shared with the subscriber, from the keychain of the App Group; nil before registration.
    func sharedSecret() -> Data?
    /// Reads and writes the progress under a lock that app and extension share.
    func update<T>(_ change: (inout PorchlightProgress) -> T) -> T
    /// Fetches what waits: in the queues of these subscriptions, or in all. Returns what to show, nil for nothing.
    func fetch(subscriptions: [Data], everywhere: Bool) async -> UNNotificationContent?
}

final class NotificationService: UNNotificationServiceExtension {
    private let inbox: Inbox = AppInbox()
    private var deliver: ((UNNotificationContent) -> Void)?
    private var fetching: Task<Void, Never>?

    override func didReceive(
        _ request: UNNotificationRequest,
        withContentHandler contentHandler: @escaping (UNNotificationContent) -> Void
    ) {
        deliver = contentHandler
        guard let secret = inbox.sharedSecret(),
            let message = PorchlightPush.message(
                in: request.content.userInfo, keys: PorchlightKeys(secret: secret))
        else { return finish(neutral()) }
        guard let news = inbox.update({ $0.news(of: message) }) else { return finish(quiet()) }
        fetching = Task { [inbox] in
            let shown = await inbox.fetch(
                subscriptions: news.map(\.subscriptionId), everywhere: message.everywhere)
            finish(shown ?? quiet())
        }
    }

    override func serviceExtensionTimeWillExpire() {
        fetching?.cancel()
        finish(neutral())
    }

    /// The system wants exactly one answer.
    private func finish(_ content: UNNotificationContent) {
        DispatchQueue.main.async {
            self.deliver?(content)
            self.deliver = nil
        }
    }

    /// The app's own words, never the push's.
    private func neutral() -> UNNotificationContent {
        let content = UNMutableNotificationContent()
        content.title = NSLocalizedString("New message", comment: "shown when nothing could be fetched in time")
        return content
    }

    /// Empty content shows nothing where the app has Apple's filtering entitlement.
    private func quiet() -> UNNotificationContent { UNNotificationContent() }
}
