/* Hides: nothing; what mail programs and web mailers call their folders, row by row. */
#include "sync/special_names.h"

#include "sync/folder_name.h"

/*
 * As folder_name_fold() writes them. A word that means one thing here and another there is left
 * out: "basura", "outbox", 垃圾箱.
 */
/* clang-format off */
static const struct special_name names[] = {
	/* en */
	{ USE_SENT, "sent" }, { USE_SENT, "sent items" }, { USE_SENT, "sent messages" },
	{ USE_SENT, "sent mail" }, { USE_SENT, "sent-mail" }, { USE_SENT, "sent e-mail" },
	{ USE_SENT, "sent objects" },
	/* de */
	{ USE_SENT, "gesendet" }, { USE_SENT, "gesendete elemente" },
	{ USE_SENT, "gesendete objekte" }, { USE_SENT, "gesendete nachrichten" },
	{ USE_SENT, "gesendete mails" }, { USE_SENT, "gesendete e-mails" },
	/* fr */
	{ USE_SENT, "envoyés" }, { USE_SENT, "éléments envoyés" },
	{ USE_SENT, "messages envoyés" }, { USE_SENT, "courrier envoyé" }, { USE_SENT, "envoyé" },
	{ USE_SENT, "objets envoyés" },
	/* es */
	{ USE_SENT, "enviados" }, { USE_SENT, "elementos enviados" },
	{ USE_SENT, "mensajes enviados" }, { USE_SENT, "correo enviado" }, { USE_SENT, "enviado" },
	/* pt */
	{ USE_SENT, "itens enviados" }, { USE_SENT, "mensagens enviadas" },
	{ USE_SENT, "enviadas" }, { USE_SENT, "correio enviado" },
	{ USE_SENT, "e-mails enviados" },
	/* it */
	{ USE_SENT, "inviati" }, { USE_SENT, "posta inviata" }, { USE_SENT, "inviata" },
	{ USE_SENT, "messaggi inviati" }, { USE_SENT, "elementi inviati" },
	/* nl */
	{ USE_SENT, "verzonden" }, { USE_SENT, "verzonden items" },
	{ USE_SENT, "verzonden berichten" }, { USE_SENT, "verzonden objecten" },
	{ USE_SENT, "verzonden e-mail" },
	/* sv */
	{ USE_SENT, "skickat" }, { USE_SENT, "skickade" }, { USE_SENT, "skickade objekt" },
	{ USE_SENT, "skickade meddelanden" },
	/* da, no */
	{ USE_SENT, "sendt" }, { USE_SENT, "sendt post" }, { USE_SENT, "sendte elementer" },
	{ USE_SENT, "sendte" }, { USE_SENT, "sendte meldinger" },
	/* fi */
	{ USE_SENT, "lähetetyt" }, { USE_SENT, "lähetetyt viestit" },
	{ USE_SENT, "lähetetyt kohteet" },
	/* pl */
	{ USE_SENT, "wysłane" }, { USE_SENT, "elementy wysłane" },
	{ USE_SENT, "wysłane elementy" }, { USE_SENT, "wysłane wiadomości" },
	/* cs, sk */
	{ USE_SENT, "odeslané" }, { USE_SENT, "odeslaná pošta" }, { USE_SENT, "odoslané" },
	{ USE_SENT, "odoslaná pošta" },
	/* hu */
	{ USE_SENT, "elküldött" }, { USE_SENT, "elküldött elemek" },
	{ USE_SENT, "elküldött üzenetek" }, { USE_SENT, "elküldött levelek" },
	/* ro */
	{ USE_SENT, "trimise" }, { USE_SENT, "elemente trimise" }, { USE_SENT, "mesaje trimise" },
	/* ru */
	{ USE_SENT, "отправленные" }, { USE_SENT, "отправлено" },
	{ USE_SENT, "отправленные элементы" },
	/* uk */
	{ USE_SENT, "надіслані" }, { USE_SENT, "відправлені" }, { USE_SENT, "надіслано" },
	/* el */
	{ USE_SENT, "απεσταλμένα" }, { USE_SENT, "σταλμένα" },
	/* tr */
	{ USE_SENT, "gönderilmiş öğeler" }, { USE_SENT, "gönderilmiş" },
	{ USE_SENT, "gönderilen" }, { USE_SENT, "gönderilenler" },
	{ USE_SENT, "gönderilmiş postalar" },
	/* he */
	{ USE_SENT, "דואר שנשלח" }, { USE_SENT, "נשלח" }, { USE_SENT, "פריטים שנשלחו" },
	{ USE_SENT, "נשלחו" },
	/* ar */
	{ USE_SENT, "العناصر المرسلة" }, { USE_SENT, "المرسلة" }, { USE_SENT, "المرسل" },
	{ USE_SENT, "البريد المرسل" }, { USE_SENT, "الرسائل المرسلة" },
	/* fa */
	{ USE_SENT, "ارسال شده" }, { USE_SENT, "فرستاده شده" }, { USE_SENT, "موارد ارسال شده" },
	/* hi */
	{ USE_SENT, "भेजा गया" }, { USE_SENT, "भेजे गए" }, { USE_SENT, "भेजे गए आइटम" },
	/* th */
	{ USE_SENT, "ส่งแล้ว" }, { USE_SENT, "จดหมายที่ส่ง" }, { USE_SENT, "รายการที่ส่ง" },
	{ USE_SENT, "รายการที่ถูกส่ง" },
	/* vi */
	{ USE_SENT, "đã gửi" }, { USE_SENT, "thư đã gửi" }, { USE_SENT, "mục đã gửi" },
	/* id, ms */
	{ USE_SENT, "terkirim" }, { USE_SENT, "item terkirim" }, { USE_SENT, "pesan terkirim" },
	{ USE_SENT, "item dihantar" },
	/* zh */
	{ USE_SENT, "已发送" }, { USE_SENT, "已发送邮件" }, { USE_SENT, "已发邮件" }, { USE_SENT, "已发送的邮件" },
	{ USE_SENT, "已發送" }, { USE_SENT, "已發送郵件" }, { USE_SENT, "寄件備份" }, { USE_SENT, "寄件备份" },
	{ USE_SENT, "已傳送" }, { USE_SENT, "已傳送郵件" }, { USE_SENT, "已寄出" },
	/* ja */
	{ USE_SENT, "送信済み" }, { USE_SENT, "送信済みアイテム" }, { USE_SENT, "送信済みメール" },
	{ USE_SENT, "送信済みトレイ" }, { USE_SENT, "送信済トレイ" }, { USE_SENT, "送信済" },
	/* ko */
	{ USE_SENT, "보낸 편지함" }, { USE_SENT, "보낸편지함" }, { USE_SENT, "보낸 메일함" },
	{ USE_SENT, "보낸메일함" }, { USE_SENT, "보낸 메시지" },
	/* en */
	{ USE_DRAFTS, "drafts" }, { USE_DRAFTS, "draft" },
	/* de */
	{ USE_DRAFTS, "entwürfe" }, { USE_DRAFTS, "entwurf" },
	/* fr */
	{ USE_DRAFTS, "brouillons" }, { USE_DRAFTS, "brouillon" },
	/* es */
	{ USE_DRAFTS, "borradores" }, { USE_DRAFTS, "borrador" },
	/* pt */
	{ USE_DRAFTS, "rascunhos" }, { USE_DRAFTS, "rascunho" },
	/* it */
	{ USE_DRAFTS, "bozze" }, { USE_DRAFTS, "bozza" },
	/* nl */
	{ USE_DRAFTS, "concepten" },
	/* sv, no */
	{ USE_DRAFTS, "utkast" },
	/* da */
	{ USE_DRAFTS, "kladder" }, { USE_DRAFTS, "kladde" },
	/* fi */
	{ USE_DRAFTS, "luonnokset" },
	/* pl */
	{ USE_DRAFTS, "kopie robocze" }, { USE_DRAFTS, "wersje robocze" },
	{ USE_DRAFTS, "robocze" }, { USE_DRAFTS, "szkice" },
	/* cs, sk */
	{ USE_DRAFTS, "koncepty" }, { USE_DRAFTS, "rozepsané" }, { USE_DRAFTS, "rozpísané" },
	/* hu */
	{ USE_DRAFTS, "piszkozatok" }, { USE_DRAFTS, "piszkozat" },
	/* ro */
	{ USE_DRAFTS, "ciorne" }, { USE_DRAFTS, "schițe" },
	/* ru */
	{ USE_DRAFTS, "черновики" },
	/* uk */
	{ USE_DRAFTS, "чернетки" },
	/* el */
	{ USE_DRAFTS, "πρόχειρα" },
	/* tr */
	{ USE_DRAFTS, "taslaklar" }, { USE_DRAFTS, "taslak" },
	/* he */
	{ USE_DRAFTS, "טיוטות" }, { USE_DRAFTS, "טיוטה" },
	/* ar */
	{ USE_DRAFTS, "المسودات" }, { USE_DRAFTS, "مسودات" },
	/* fa */
	{ USE_DRAFTS, "پیش‌نویس‌ها" }, { USE_DRAFTS, "پیش نویس ها" }, { USE_DRAFTS, "پیش‌نویس" },
	{ USE_DRAFTS, "پیش نویس" },
	/* hi */
	{ USE_DRAFTS, "ड्राफ़्ट" }, { USE_DRAFTS, "ड्राफ्ट" },
	/* th */
	{ USE_DRAFTS, "แบบร่าง" }, { USE_DRAFTS, "จดหมายร่าง" }, { USE_DRAFTS, "ร่างจดหมาย" },
	/* vi */
	{ USE_DRAFTS, "thư nháp" }, { USE_DRAFTS, "bản nháp" }, { USE_DRAFTS, "nháp" },
	/* id, ms */
	{ USE_DRAFTS, "draf" }, { USE_DRAFTS, "konsep" },
	/* zh */
	{ USE_DRAFTS, "草稿" }, { USE_DRAFTS, "草稿箱" }, { USE_DRAFTS, "草稿匣" }, { USE_DRAFTS, "草稿夹" },
	/* ja */
	{ USE_DRAFTS, "下書き" },
	/* ko */
	{ USE_DRAFTS, "임시 보관함" }, { USE_DRAFTS, "임시보관함" }, { USE_DRAFTS, "임시 저장" },
	{ USE_DRAFTS, "초안" },
	/* en */
	{ USE_TRASH, "trash" }, { USE_TRASH, "deleted items" }, { USE_TRASH, "deleted messages" },
	{ USE_TRASH, "deleted" }, { USE_TRASH, "deleted mail" }, { USE_TRASH, "bin" },
	{ USE_TRASH, "wastebasket" },
	/* de */
	{ USE_TRASH, "papierkorb" }, { USE_TRASH, "gelöschte elemente" },
	{ USE_TRASH, "gelöschte objekte" }, { USE_TRASH, "gelöschte nachrichten" },
	{ USE_TRASH, "gelöscht" },
	/* fr */
	{ USE_TRASH, "corbeille" }, { USE_TRASH, "éléments supprimés" },
	{ USE_TRASH, "messages supprimés" }, { USE_TRASH, "courrier supprimé" },
	/* es */
	{ USE_TRASH, "papelera" }, { USE_TRASH, "elementos eliminados" },
	{ USE_TRASH, "mensajes eliminados" }, { USE_TRASH, "eliminados" },
	{ USE_TRASH, "papelera de reciclaje" },
	/* pt */
	{ USE_TRASH, "lixeira" }, { USE_TRASH, "lixo" }, { USE_TRASH, "itens excluídos" },
	{ USE_TRASH, "itens eliminados" }, { USE_TRASH, "excluídos" }, { USE_TRASH, "reciclagem" },
	/* it */
	{ USE_TRASH, "cestino" }, { USE_TRASH, "posta eliminata" },
	{ USE_TRASH, "elementi eliminati" }, { USE_TRASH, "eliminati" },
	{ USE_TRASH, "messaggi eliminati" },
	/* nl */
	{ USE_TRASH, "prullenbak" }, { USE_TRASH, "prullenmand" },
	{ USE_TRASH, "verwijderde items" }, { USE_TRASH, "verwijderd" },
	{ USE_TRASH, "verwijderde berichten" },
	/* sv */
	{ USE_TRASH, "papperskorgen" }, { USE_TRASH, "papperskorg" }, { USE_TRASH, "borttaget" },
	{ USE_TRASH, "borttagna" }, { USE_TRASH, "borttagna objekt" },
	/* da, no */
	{ USE_TRASH, "papirkurv" }, { USE_TRASH, "slettet post" },
	{ USE_TRASH, "slettede elementer" }, { USE_TRASH, "slettet" },
	{ USE_TRASH, "slettede meldinger" },
	/* fi */
	{ USE_TRASH, "roskakori" }, { USE_TRASH, "poistetut" }, { USE_TRASH, "poistetut viestit" },
	{ USE_TRASH, "poistetut kohteet" },
	/* pl */
	{ USE_TRASH, "kosz" }, { USE_TRASH, "elementy usunięte" }, { USE_TRASH, "usunięte" },
	/* cs, sk */
	{ USE_TRASH, "koš" }, { USE_TRASH, "odstraněná pošta" }, { USE_TRASH, "odstraněné" },
	{ USE_TRASH, "kôš" }, { USE_TRASH, "odstránené" }, { USE_TRASH, "odstránená pošta" },
	/* hu */
	{ USE_TRASH, "kuka" }, { USE_TRASH, "lomtár" }, { USE_TRASH, "törölt" },
	{ USE_TRASH, "törölt elemek" }, { USE_TRASH, "törölt üzenetek" },
	/* ro */
	{ USE_TRASH, "coș" }, { USE_TRASH, "coș de gunoi" }, { USE_TRASH, "elemente șterse" },
	{ USE_TRASH, "șterse" }, { USE_TRASH, "mesaje șterse" },
	/* ru */
	{ USE_TRASH, "корзина" }, { USE_TRASH, "удаленные" }, { USE_TRASH, "удалённые" },
	{ USE_TRASH, "удаленные элементы" },
	/* uk */
	{ USE_TRASH, "кошик" }, { USE_TRASH, "видалені" }, { USE_TRASH, "видалено" },
	/* el */
	{ USE_TRASH, "κάδοσ" }, { USE_TRASH, "διαγραμμένα" }, { USE_TRASH, "κάδοσ ανακύκλωσησ" },
	{ USE_TRASH, "κάδοσ απορριμμάτων" }, { USE_TRASH, "απορρίμματα" },
	/* tr */
	{ USE_TRASH, "çöp kutusu" }, { USE_TRASH, "çöp" }, { USE_TRASH, "silinmiş öğeler" },
	{ USE_TRASH, "silinmiş" }, { USE_TRASH, "silinenler" },
	/* he */
	{ USE_TRASH, "אשפה" }, { USE_TRASH, "פריטים שנמחקו" }, { USE_TRASH, "פח אשפה" },
	{ USE_TRASH, "סל המיחזור" },
	/* ar */
	{ USE_TRASH, "المهملات" }, { USE_TRASH, "العناصر المحذوفة" },
	{ USE_TRASH, "سلة المهملات" }, { USE_TRASH, "المحذوفات" }, { USE_TRASH, "المحذوفة" },
	/* fa */
	{ USE_TRASH, "سطل زباله" }, { USE_TRASH, "زباله‌دان" }, { USE_TRASH, "موارد حذف شده" },
	{ USE_TRASH, "حذف شده" },
	/* hi */
	{ USE_TRASH, "कूड़ेदान" }, { USE_TRASH, "ट्रैश" }, { USE_TRASH, "हटाए गए आइटम" },
	/* th */
	{ USE_TRASH, "ถังขยะ" }, { USE_TRASH, "รายการที่ถูกลบ" },
	/* vi */
	{ USE_TRASH, "thùng rác" }, { USE_TRASH, "đã xóa" }, { USE_TRASH, "thư đã xóa" },
	{ USE_TRASH, "mục đã xóa" },
	/* id, ms */
	{ USE_TRASH, "sampah" }, { USE_TRASH, "item dihapus" }, { USE_TRASH, "tong sampah" },
	{ USE_TRASH, "item terhapus" }, { USE_TRASH, "item dipadam" },
	/* zh */
	{ USE_TRASH, "已删除" }, { USE_TRASH, "已删除邮件" }, { USE_TRASH, "已删除的邮件" },
	{ USE_TRASH, "废纸篓" }, { USE_TRASH, "回收站" }, { USE_TRASH, "垃圾桶" }, { USE_TRASH, "刪除的郵件" },
	{ USE_TRASH, "已刪除的郵件" }, { USE_TRASH, "已刪除" },
	/* ja */
	{ USE_TRASH, "ゴミ箱" }, { USE_TRASH, "ごみ箱" }, { USE_TRASH, "削除済みアイテム" },
	{ USE_TRASH, "削除済み" },
	/* ko */
	{ USE_TRASH, "휴지통" }, { USE_TRASH, "지운 편지함" }, { USE_TRASH, "지운편지함" },
	{ USE_TRASH, "삭제된 항목" }, { USE_TRASH, "지운 메일함" },
	/* en */
	{ USE_JUNK, "junk" }, { USE_JUNK, "spam" }, { USE_JUNK, "junk e-mail" },
	{ USE_JUNK, "junk email" }, { USE_JUNK, "junk mail" }, { USE_JUNK, "bulk mail" },
	{ USE_JUNK, "bulk" }, { USE_JUNK, "spambox" },
	/* de */
	{ USE_JUNK, "junk-e-mail" }, { USE_JUNK, "junk-mail" }, { USE_JUNK, "spamverdacht" },
	{ USE_JUNK, "unerwünscht" }, { USE_JUNK, "unerwünschte werbung" },
	{ USE_JUNK, "unerwünschte e-mails" },
	/* fr */
	{ USE_JUNK, "courrier indésirable" }, { USE_JUNK, "indésirables" },
	{ USE_JUNK, "indésirable" }, { USE_JUNK, "pourriel" }, { USE_JUNK, "pourriels" },
	/* es */
	{ USE_JUNK, "correo no deseado" }, { USE_JUNK, "no deseado" },
	{ USE_JUNK, "correo basura" },
	/* pt */
	{ USE_JUNK, "lixo eletrônico" }, { USE_JUNK, "lixo eletrónico" },
	{ USE_JUNK, "lixo electrónico" }, { USE_JUNK, "correio não solicitado" },
	/* it */
	{ USE_JUNK, "posta indesiderata" }, { USE_JUNK, "indesiderata" },
	/* nl */
	{ USE_JUNK, "ongewenste e-mail" }, { USE_JUNK, "ongewenst" },
	{ USE_JUNK, "ongewenste reclame" },
	/* sv */
	{ USE_JUNK, "skräppost" },
	/* da */
	{ USE_JUNK, "uønsket mail" }, { USE_JUNK, "uønsket e-mail" }, { USE_JUNK, "uønsket post" },
	{ USE_JUNK, "uønsket" },
	/* no */
	{ USE_JUNK, "søppelpost" }, { USE_JUNK, "useriøs e-post" }, { USE_JUNK, "uønsket e-post" },
	/* fi */
	{ USE_JUNK, "roskaposti" },
	/* pl */
	{ USE_JUNK, "wiadomości-śmieci" }, { USE_JUNK, "niechciane" },
	{ USE_JUNK, "niechciana poczta" },
	/* cs, sk */
	{ USE_JUNK, "nevyžádaná pošta" }, { USE_JUNK, "nevyžádané" },
	{ USE_JUNK, "nevyžiadaná pošta" },
	/* hu */
	{ USE_JUNK, "levélszemét" }, { USE_JUNK, "kéretlen" }, { USE_JUNK, "kéretlen levelek" },
	/* ro */
	{ USE_JUNK, "mesaje nedorite" }, { USE_JUNK, "e-mail nedorit" }, { USE_JUNK, "nedorite" },
	/* ru */
	{ USE_JUNK, "спам" }, { USE_JUNK, "нежелательная почта" },
	/* uk */
	{ USE_JUNK, "небажана пошта" },
	/* el */
	{ USE_JUNK, "ανεπιθύμητα" }, { USE_JUNK, "ανεπιθύμητη αλληλογραφία" },
	{ USE_JUNK, "ανεπιθύμητη" },
	/* tr */
	{ USE_JUNK, "gereksiz" }, { USE_JUNK, "önemsiz" }, { USE_JUNK, "gereksiz e-posta" },
	{ USE_JUNK, "önemsiz e-posta" }, { USE_JUNK, "istenmeyen" },
	/* he */
	{ USE_JUNK, "דואר זבל" }, { USE_JUNK, "ספאם" }, { USE_JUNK, "זבל" },
	/* ar */
	{ USE_JUNK, "البريد العشوائي" }, { USE_JUNK, "بريد عشوائي" }, { USE_JUNK, "بريد غير هام" },
	{ USE_JUNK, "البريد الإلكتروني غير الهام" }, { USE_JUNK, "البريد المزعج" },
	/* fa */
	{ USE_JUNK, "هرزنامه" }, { USE_JUNK, "هرزنامه‌ها" }, { USE_JUNK, "اسپم" },
	/* hi */
	{ USE_JUNK, "स्पैम" }, { USE_JUNK, "जंक" },
	/* th */
	{ USE_JUNK, "สแปม" }, { USE_JUNK, "อีเมลขยะ" }, { USE_JUNK, "จดหมายขยะ" },
	/* vi */
	{ USE_JUNK, "thư rác" }, { USE_JUNK, "email rác" },
	/* id, ms */
	{ USE_JUNK, "email sampah" }, { USE_JUNK, "surat sampah" }, { USE_JUNK, "e-mel sarap" },
	/* zh */
	{ USE_JUNK, "垃圾邮件" }, { USE_JUNK, "垃圾郵件" }, { USE_JUNK, "垃圾信件" }, { USE_JUNK, "广告邮件" },
	/* ja */
	{ USE_JUNK, "迷惑メール" },
	/* ko */
	{ USE_JUNK, "스팸" }, { USE_JUNK, "스팸 메일함" }, { USE_JUNK, "스팸메일함" }, { USE_JUNK, "정크 메일" },
	{ USE_JUNK, "정크메일" }, { USE_JUNK, "스팸편지함" }, { USE_JUNK, "스팸함" },
	/* en */
	{ USE_ARCHIVE, "archive" }, { USE_ARCHIVE, "archives" },
	/* de, cs */
	{ USE_ARCHIVE, "archiv" },
	/* es */
	{ USE_ARCHIVE, "archivo" },
	/* pt */
	{ USE_ARCHIVE, "arquivo" }, { USE_ARCHIVE, "arquivo morto" },
	{ USE_ARCHIVE, "arquivados" },
	/* it */
	{ USE_ARCHIVE, "archivio" },
	/* nl */
	{ USE_ARCHIVE, "archief" },
	/* sv, da, no */
	{ USE_ARCHIVE, "arkiv" },
	/* fi */
	{ USE_ARCHIVE, "arkisto" },
	/* pl */
	{ USE_ARCHIVE, "archiwum" },
	/* sk */
	{ USE_ARCHIVE, "archív" },
	/* hu */
	{ USE_ARCHIVE, "archívum" },
	/* ro */
	{ USE_ARCHIVE, "arhivă" }, { USE_ARCHIVE, "arhiva" },
	/* ru */
	{ USE_ARCHIVE, "архив" },
	/* uk */
	{ USE_ARCHIVE, "архів" },
	/* el */
	{ USE_ARCHIVE, "αρχείο" }, { USE_ARCHIVE, "αρχειοθήκη" },
	/* tr */
	{ USE_ARCHIVE, "arşiv" },
	/* he */
	{ USE_ARCHIVE, "ארכיון" },
	/* ar */
	{ USE_ARCHIVE, "الأرشيف" }, { USE_ARCHIVE, "أرشيف" },
	/* fa */
	{ USE_ARCHIVE, "بایگانی" },
	/* hi */
	{ USE_ARCHIVE, "संग्रह" },
	/* th */
	{ USE_ARCHIVE, "เก็บถาวร" }, { USE_ARCHIVE, "ที่เก็บถาวร" },
	/* vi */
	{ USE_ARCHIVE, "lưu trữ" },
	/* id */
	{ USE_ARCHIVE, "arsip" },
	/* zh */
	{ USE_ARCHIVE, "存档" }, { USE_ARCHIVE, "归档" }, { USE_ARCHIVE, "存檔" }, { USE_ARCHIVE, "歸檔" },
	{ USE_ARCHIVE, "封存" },
	/* ja */
	{ USE_ARCHIVE, "アーカイブ" },
	/* ko */
	{ USE_ARCHIVE, "보관함" }, { USE_ARCHIVE, "보관" }, { USE_ARCHIVE, "아카이브" },
};
/* clang-format on */

const struct special_name *special_names(size_t *count)
{
	*count = COUNT(names);
	return names;
}

enum special_use special_name_use(const char *text)
{
	char *folded = folder_name_fold(text);
	enum special_use use = USE_NONE;

	for (size_t i = 0; i < COUNT(names) && use == USE_NONE; i++)
		if (strcmp(names[i].folded, folded) == 0)
			use = names[i].use;
	mem_free(&folded);
	return use;
}
